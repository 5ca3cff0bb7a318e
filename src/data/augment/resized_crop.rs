//! Random crop that is resized.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Filter, Picture, Rectangle};
use crate::data::random::{Generator, uniform};
use crate::error::{Error, Result};

/// torchvision's `RandomResizedCrop` on PIL images: a part of the image, resized with antialiasing.
///
/// The part's area is uniform in `scale` × that of the image, the logarithm of its aspect ratio (width by height)
/// uniform in that of `ratio`; sides are `√(area · aspect)` and `√(area / aspect)`, rounded half to even. After ten parts
/// that do not fit it is the largest central one with a ratio in range.
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | `None`: that of the image | height and width, each 1 to 8192 |
/// | `scale` | 0.08 to 1 | 0 < low ≤ high ≤ 1 |
/// | `ratio` | 3/4 to 4/3 | 0 < low ≤ high |
/// | `filter` | bicubic, DeiT's; torchvision's is bilinear | |
///
/// timm's DeiT recipe crops images of up to 32 × 32 pixels with [`Augmentation`](crate::data::Augmentation)'s
/// padding of 4 instead.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ResizedCrop {
    /// Height and width of the result.
    pub size: Option<[usize; 2]>,
    /// Lowest and highest share of the image's area.
    pub scale: [f64; 2],
    /// Lowest and highest aspect ratio, width by height.
    pub ratio: [f64; 2],
    /// How pixels are interpolated.
    pub filter: Filter,
}

impl Default for ResizedCrop {
    fn default() -> Self {
        Self {
            size: None,
            scale: [0.08, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            filter: Filter::Bicubic,
        }
    }
}

impl ResizedCrop {
    /// Height and width of a part with a share of the area of an image of `[height, width]` and an aspect ratio; `None` if
    /// it does not fit.
    pub fn sides(share: f64, aspect: f64, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        let area = (height * width) as f64 * share;
        let columns = (area * aspect).sqrt().round_ties_even() as usize;
        let rows = (area / aspect).sqrt().round_ties_even() as usize;
        ((1..=height).contains(&rows) && (1..=width).contains(&columns)).then_some([rows, columns])
    }

    /// The part that is taken if no random one fits.
    pub fn central(&self, [height, width]: [usize; 2]) -> Rectangle {
        let [low, high] = self.ratio;
        let aspect = width as f64 / height as f64;
        let round =
            |side: f64, limit: usize| (side.round_ties_even() as usize).clamp(1, limit.max(1));
        let [rows, columns] = match aspect {
            aspect if aspect < low => [round(width as f64 / low, height), width],
            aspect if aspect > high => [height, round(height as f64 * high, width)],
            _ => [height, width],
        };
        Rectangle {
            top: (height - rows) / 2,
            left: (width - columns) / 2,
            height: rows,
            width: columns,
        }
    }

    fn draw(&self, generator: &mut Generator, size: [usize; 2]) -> Rectangle {
        for _ in 0..10 {
            let share = uniform(generator, self.scale[0], self.scale[1]);
            let [low, high] = self.ratio.map(f64::ln);
            let aspect = uniform(generator, low, high).exp();
            if let Some([height, width]) = Self::sides(share, aspect, size) {
                return Rectangle {
                    top: generator.random_range(0..=size[0] - height),
                    left: generator.random_range(0..=size[1] - width),
                    height,
                    width,
                };
            }
        }
        self.central(size)
    }

    pub(super) fn apply(&self, picture: Picture, generator: &mut Generator) -> Picture {
        let [_, height, width] = picture.shape();
        let part = self.draw(generator, [height, width]);
        let size = self.size.unwrap_or([height, width]);
        picture.cropped(part).resized(size, self.filter)
    }

    pub(super) fn validate(&self) -> Result<()> {
        let invalid = |field, value: String, valid| {
            Err(Error::Config {
                field,
                value,
                valid,
            })
        };
        let ordered = |[low, high]: [f64; 2]| low > 0.0 && low <= high && high.is_finite();
        if !ordered(self.scale) || self.scale[1] > 1.0 {
            let valid = "the lowest and highest share, above 0 and up to 1";
            return invalid("resized_crop.scale", format!("{:?}", self.scale), valid);
        }
        if !ordered(self.ratio) {
            let valid = "the lowest and highest ratio, above 0 and finite";
            return invalid("resized_crop.ratio", format!("{:?}", self.ratio), valid);
        }
        self.size
            .map_or(Ok(()), |size| validate_size("resized_crop.size", size))
    }
}

/// Checks the size of a result.
pub(super) fn validate_size(field: &'static str, size: [usize; 2]) -> Result<()> {
    match size.iter().all(|side| (1..=8192).contains(side)) {
        true => Ok(()),
        false => Err(Error::Config {
            field,
            value: format!("{size:?}"),
            valid: "height and width, each 1 to 8192",
        }),
    }
}
