//! Blends with a plainer image, as in PIL's `ImageEnhance`: `plain + factor · (image − plain)`.

use super::Picture;

/// PIL's `Image.blend`: single precision, cut off to 0 … 255, fractions dropped.
fn blend(picture: &Picture, factor: f64, plain: impl Fn(usize) -> u8) -> Picture {
    let factor = factor as f32;
    picture.by_pixel(|position, pixel| {
        let plain = f32::from(plain(position));
        // A cast saturates, so it cuts off, too.
        (plain + factor * (f32::from(pixel) - plain)) as u8
    })
}

/// Colour (saturation): 0 is gray. Gray images stay as they are.
pub(super) fn color(picture: &Picture, factor: f64) -> Picture {
    let gray = picture.luminance();
    blend(picture, factor, |position| gray[position % gray.len()])
}

/// Contrast: 0 is the mean luminance everywhere.
pub(super) fn contrast(picture: &Picture, factor: f64) -> Picture {
    let gray = picture.luminance();
    let sum: u64 = gray.iter().map(|pixel| u64::from(*pixel)).sum();
    let mean = (sum as f64 / gray.len() as f64 + 0.5) as u8;
    blend(picture, factor, |_| mean)
}

/// Brightness: 0 is black.
pub(super) fn brightness(picture: &Picture, factor: f64) -> Picture {
    blend(picture, factor, |_| 0)
}

/// Sharpness: 0 is smoothed by a 3 × 3 filter.
pub(super) fn sharpness(picture: &Picture, factor: f64) -> Picture {
    let smooth = smooth(picture);
    blend(picture, factor, |position| smooth.pixels()[position])
}

/// PIL's `ImageFilter.SMOOTH`: weight 5 in the middle, 1 around it; the border stays.
fn smooth(picture: &Picture) -> Picture {
    let [_, height, width] = picture.shape();
    picture.by_plane([height, width], |_, plane, output| {
        let smoothed = |row: usize, column: usize| {
            let at = row * width + column;
            if row == 0 || column == 0 || row + 1 == height || column + 1 == width {
                return plane[at];
            }
            let three = |at: usize| plane[at - 1..=at + 1].iter().map(|p| u32::from(*p));
            let around = [at - width, at, at + width].into_iter().flat_map(three);
            let sum = around.sum::<u32>() + 4 * u32::from(plane[at]);
            // Rounded to nearest; a thirteenth is never half-way, so whole numbers give what PIL's floats do.
            ((2 * sum + 13) / 26) as u8
        };
        for row in 0..height {
            output.extend((0..width).map(|column| smoothed(row, column)));
        }
    })
}
