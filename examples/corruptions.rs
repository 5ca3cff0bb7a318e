//! Draws an image under each of the 19 corruptions at severities 1 to 5.
//!
//! ```text
//! cargo run --release --example corruptions -- DIR sheet.png [INDEX]   # DIR has cifar-10-batches-bin
//! ```

use std::fs::File;
use std::io::BufWriter;

use anyhow::{Context, Result, ensure};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Rgb, RgbImage};
use zosam::data::{Corruption, cifar10};

/// Pixels between images.
const GAP: u32 = 2;
const SIDE: u32 = 32;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, file, index @ ..] = &arguments[..] else {
        anyhow::bail!("expected the folder of CIFAR-10 and the name of a PNG file");
    };
    let index = match index.first() {
        Some(index) => index.parse().context("INDEX is a number")?,
        None => 0,
    };
    let (_, test) = cifar10(folder)?;
    ensure!(index < test.len(), "INDEX is below {}", test.len());

    // A row for each severity, the clean image on the left of each.
    let columns = 1 + Corruption::all().count() as u32;
    let side = SIDE + GAP;
    let mut sheet = RgbImage::from_pixel(columns * side - GAP, 5 * side - GAP, Rgb([255; 3]));
    for severity in 1..=5 {
        let top = side * u32::from(severity - 1);
        draw(&mut sheet, test.pixels(index), 0, top);
        for (place, corruption) in Corruption::all().enumerate() {
            let pixels = corruption.apply(test.pixels(index), test.shape(), severity, 0, index)?;
            draw(&mut sheet, &pixels, side * (1 + place as u32), top);
        }
    }
    let writer = BufWriter::new(File::create(file).with_context(|| file.clone())?);
    let encoder = PngEncoder::new_with_quality(writer, CompressionType::Best, FilterType::Adaptive);
    sheet.write_with_encoder(encoder)?;
    Ok(())
}

fn draw(sheet: &mut RgbImage, pixels: &[u8], left: u32, top: u32) {
    let plane = (SIDE * SIDE) as usize;
    for place in 0..plane {
        let color = Rgb([0, 1, 2].map(|channel| pixels[channel * plane + place]));
        let (row, column) = (place as u32 / SIDE, place as u32 % SIDE);
        sheet.put_pixel(left + column, top + row, color);
    }
}
