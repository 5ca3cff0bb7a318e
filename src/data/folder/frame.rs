//! A decoded image in the size asked for.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::decode::Decoded;
use super::{Color, ImageFolderConfig, Sizing};
use crate::data::{Filter, Picture};

/// Resizes and crops at once: only pixels that are kept are computed.
pub(super) fn frame(decoded: Decoded, config: &ImageFolderConfig) -> Result<Picture, String> {
    let Some([height, width]) = config.sizing.size() else {
        return Ok(planar(decoded));
    };
    let part = part(config.sizing, [decoded.height, decoded.width]);
    let kind = match decoded.color {
        Color::Rgb => PixelType::U8x3,
        Color::Grey => PixelType::U8,
    };
    let filter = match config.filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(part.left, part.top, part.width, part.height);
    let size = |side: usize| side as u32;
    let source = ImageRef::new(
        size(decoded.width),
        size(decoded.height),
        &decoded.pixels,
        kind,
    );
    let mut output = Image::new(size(width), size(height), kind);
    let source = source.map_err(|error| error.to_string())?;
    let resized = Resizer::new().resize(&source, &mut output, Some(&options));
    resized.map_err(|error| error.to_string())?;
    Ok(planar(Decoded {
        pixels: output.into_vec(),
        height,
        width,
        ..decoded
    }))
}

/// Part of an image, in pixels of the original and fractions of them.
struct Part {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// The part of the original that the result shows.
fn part(sizing: Sizing, [height, width]: [usize; 2]) -> Part {
    let whole = [height as f64, width as f64];
    let [[top, height], [left, width]] = match sizing {
        Sizing::CenterCrop { resize, crop } => {
            let shorter = height.min(width);
            let along = |side: usize| {
                // torchvision: the longer side is rounded down, the crop's first row half to even.
                let resized = (resize as u64 * side as u64 / shorter as u64) as f64;
                let first = ((resized - crop as f64) / 2.0).round_ties_even();
                let scale = side as f64 / resized;
                let first = first * scale;
                [first, (crop as f64 * scale).min(side as f64 - first)]
            };
            [along(height), along(width)]
        }
        _ => [[0.0, whole[0]], [0.0, whole[1]]],
    };
    Part {
        left,
        top,
        width,
        height,
    }
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
