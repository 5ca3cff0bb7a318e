//! A decoded image in the size asked for.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::decode::Decoded;
use super::{Color, ImageFolderConfig, Sizing};
use crate::data::{Filter, Picture};
use crate::error::{Fault, Faulty};

/// Resizes and crops at once, so that only pixels that are kept are computed: rows first, then columns, rounded to 8 bits after each, as PIL.
/// In one call the library would do columns first, and a bicubic filter's overshoots are cut off in between.
pub(super) fn frame(decoded: Decoded, config: &ImageFolderConfig) -> Faulty<Picture> {
    let Some([height, width]) = config.sizing.size() else {
        return Ok(planar(decoded));
    };
    let [rows, columns] = parts(config.sizing, [decoded.height, decoded.width]);
    let all = |side: usize| (0.0, side as f64);
    let tall = decoded.height;
    let narrow = resize(decoded, [tall, width], all(tall), columns, config.filter)?;
    let framed = resize(narrow, [height, width], rows, all(width), config.filter)?;
    Ok(planar(framed))
}

/// The part of the image within rows and columns, each a first one and a number of them, in another size.
fn resize(
    decoded: Decoded,
    [height, width]: [usize; 2],
    rows: (f64, f64),
    columns: (f64, f64),
    filter: Filter,
) -> Faulty<Decoded> {
    let kind = match decoded.color {
        Color::Rgb => PixelType::U8x3,
        Color::Grey => PixelType::U8,
    };
    let filter = match filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(columns.0, rows.0, columns.1, rows.1);
    let from = [decoded.width as u32, decoded.height as u32];
    let source = ImageRef::new(from[0], from[1], &decoded.pixels, kind);
    let source = source.map_err(Fault::by("its pixels cannot be resized"))?;
    let mut output = Image::new(width as u32, height as u32, kind);
    let resized = Resizer::new().resize(&source, &mut output, Some(&options));
    resized.map_err(Fault::by("it cannot be resized"))?;
    Ok(Decoded {
        pixels: output.into_vec(),
        height,
        width,
        color: decoded.color,
    })
}

/// The rows and the columns of the original that the result shows: a first one and a number of them, in fractions.
fn parts(sizing: Sizing, sides: [usize; 2]) -> [(f64, f64); 2] {
    let shorter = sides[0].min(sides[1]);
    sides.map(|side| match sizing {
        Sizing::CenterCrop { resize, crop } => {
            // torchvision: the longer side is rounded down, the crop's first row half to even.
            let resized = (resize as u64 * side as u64 / shorter as u64) as f64;
            let first = ((resized - crop as f64) / 2.0).round_ties_even();
            let scale = side as f64 / resized;
            let first = first * scale;
            (first, (crop as f64 * scale).min(side as f64 - first))
        }
        _ => (0.0, side as f64),
    })
}

/// Interleaved channels become planes.
fn planar(decoded: Decoded) -> Picture {
    let channels = decoded.color.channels();
    let shape = [channels, decoded.height, decoded.width];
    let pixels = match channels {
        1 => decoded.pixels,
        _ => {
            let mut planes = Vec::with_capacity(decoded.pixels.len());
            for channel in 0..channels {
                planes.extend(decoded.pixels.iter().skip(channel).step_by(channels));
            }
            planes
        }
    };
    Picture::trusted(pixels, shape)
}
