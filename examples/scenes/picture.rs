//! Pictures of predictions.

use std::io::Cursor;
use std::path::Path;

use anyhow::Result;
use image::{ImageFormat, Rgb, RgbImage, imageops};
use zosam::checkpoint::write_atomically;

use crate::bounds::Bounds;
use crate::scene::{SIDE, Scene};

/// Pixels of a picture to a pixel of a scene, in each direction.
const SCALE: usize = 3;
/// Between scenes.
const GAP: usize = 6;

/// Fashion-MNIST's classes: T-shirt red, trouser green, pullover yellow, dress blue, coat orange, sandal cyan, shirt purple, sneaker lime, bag pink, ankle boot brown.
const COLOURS: [[u8; 3]; 10] = [
    [230, 25, 75],
    [20, 140, 60],
    [255, 225, 25],
    [0, 100, 255],
    [245, 130, 48],
    [70, 240, 240],
    [145, 30, 180],
    [160, 255, 40],
    [250, 150, 210],
    [150, 90, 30],
];

/// A scene in grey, enlarged.
pub fn grey(scene: &Scene) -> RgbImage {
    coloured(scene, &[0; SIDE * SIDE])
}

/// A scene under the colours of a mask.
pub fn coloured(scene: &Scene, mask: &[u8]) -> RgbImage {
    let side = (SIDE * SCALE) as u32;
    RgbImage::from_fn(side, side, |x, y| {
        let place = y as usize / SCALE * SIDE + x as usize / SCALE;
        let grey = 255.0 * scene.pixels[place].clamp(0.0, 1.0);
        match mask[place].checked_sub(1) {
            None => Rgb([grey as u8; 3]),
            Some(class) => {
                let colour = COLOURS[usize::from(class)];
                Rgb(colour.map(|value| (0.4 * grey + 0.6 * f32::from(value)) as u8))
            }
        }
    })
}

/// A scene with boxes in the colours of their classes.
pub fn boxed(scene: &Scene, boxes: impl Iterator<Item = (usize, Bounds)>) -> RgbImage {
    let mut picture = grey(scene);
    let last = (SIDE * SCALE - 1) as f64;
    for (class, bounds) in boxes {
        let at = |edge: f64| (edge * SCALE as f64).round().clamp(0.0, last) as u32;
        let [left, top] = [at(bounds.left), at(bounds.top)];
        let [right, bottom] = [at(bounds.right).max(left), at(bounds.bottom).max(top)];
        let colour = Rgb(COLOURS[class]);
        for inset in 0..2 {
            let [right, bottom] = [right.saturating_sub(inset), bottom.saturating_sub(inset)];
            for x in left..=right {
                picture.put_pixel(x, (top + inset).min(bottom), colour);
                picture.put_pixel(x, bottom, colour);
            }
            for y in top..=bottom {
                picture.put_pixel((left + inset).min(right), y, colour);
                picture.put_pixel(right, y, colour);
            }
        }
    }
    picture
}

/// Writes rows of pictures as a PNG.
pub fn save(path: &Path, rows: &[Vec<RgbImage>]) -> Result<()> {
    let step = SIDE * SCALE + GAP;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let size = |count: usize| (count * step + GAP) as u32;
    let mut whole = RgbImage::from_pixel(size(columns), size(rows.len()), Rgb([255; 3]));
    for (row, pictures) in rows.iter().enumerate() {
        for (column, picture) in pictures.iter().enumerate() {
            let at = |number: usize| (number * step + GAP) as i64;
            imageops::replace(&mut whole, picture, at(column), at(row));
        }
    }
    let mut file = Cursor::new(Vec::new());
    whole.write_to(&mut file, ImageFormat::Png)?;
    Ok(write_atomically(path, file.get_ref())?)
}
