//! The operations of RandAugment.

use serde::{Deserialize, Serialize};

use super::{Filter, Picture, affine, enhance, point};

/// An operation on one image, with timm's definitions on PIL images; degrees, factors and shares may have either sign.
///
/// Channels are treated alike, so gray images work; `Color` leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// Stretches each channel to 0 … 255.
    AutoContrast,
    /// Makes the pixel values of each channel about equally frequent.
    Equalize,
    /// `255 − pixel`.
    Invert,
    /// Turns counter-clockwise around the centre.
    Rotate {
        /// Degrees.
        degrees: f64,
    },
    /// Keeps the highest bits of each pixel.
    Posterize {
        /// Bits that are kept; 8 and above change nothing.
        bits: u8,
    },
    /// Inverts bright pixels.
    Solarize {
        /// The lowest pixel value that is inverted; 256 inverts none.
        threshold: u16,
    },
    /// Brightens pixels below 128.
    SolarizeAdd {
        /// What is added, up to 255.
        amount: u8,
    },
    /// Saturation: `gray + factor · (image − gray)`.
    Color {
        /// 0 is gray, 1 the image.
        factor: f64,
    },
    /// `mean + factor · (image − mean)`, with the mean luminance.
    Contrast {
        /// 0 is the mean, 1 the image.
        factor: f64,
    },
    /// `factor · image`.
    Brightness {
        /// 0 is black, 1 the image.
        factor: f64,
    },
    /// `smooth + factor · (image − smooth)`.
    Sharpness {
        /// 0 is smoothed, 1 the image.
        factor: f64,
    },
    /// Takes each pixel from `x + factor · y`.
    ShearX {
        /// Columns per row.
        factor: f64,
    },
    /// Takes each pixel from `y + factor · x`.
    ShearY {
        /// Rows per column.
        factor: f64,
    },
    /// Takes each pixel from `x + share · width` (timm's `TranslateXRel`).
    TranslateX {
        /// Share of the width.
        share: f64,
    },
    /// Takes each pixel from `y + share · height` (timm's `TranslateYRel`).
    TranslateY {
        /// Share of the height.
        share: f64,
    },
}

/// Makes an operation of a level from 0 to 1 and a sign, 1 or −1.
pub type AtLevel = fn(f64, f64) -> Operation;

/// The fifteen operations of timm's increasing set (`inc1`), in its order, by level.
///
/// | operation | at level l |
/// |---|---|
/// | `Rotate` | ±30 l degrees |
/// | `Posterize` | 4 − ⌊4 l⌋ bits |
/// | `Solarize` | from 256 − ⌊256 l⌋ on |
/// | `SolarizeAdd` | ⌊110 l⌋ |
/// | `Color`, `Contrast`, `Brightness`, `Sharpness` | factor 1 ± 0.9 l |
/// | `ShearX`, `ShearY` | factor ±0.3 l |
/// | `TranslateX`, `TranslateY` | share ±0.45 l |
pub const OPERATIONS: [AtLevel; 15] = [
    |_, _| Operation::AutoContrast,
    |_, _| Operation::Equalize,
    |_, _| Operation::Invert,
    |level, sign| Operation::Rotate {
        degrees: sign * (level * 30.0),
    },
    |level, _| Operation::Posterize {
        bits: 4_u8.saturating_sub((level * 4.0) as u8),
    },
    |level, _| Operation::Solarize {
        threshold: 256_u16.saturating_sub((level * 256.0) as u16),
    },
    |level, _| Operation::SolarizeAdd {
        amount: (level * 110.0).min(128.0) as u8,
    },
    |level, sign| Operation::Color {
        factor: enhancement(level, sign),
    },
    |level, sign| Operation::Contrast {
        factor: enhancement(level, sign),
    },
    |level, sign| Operation::Brightness {
        factor: enhancement(level, sign),
    },
    |level, sign| Operation::Sharpness {
        factor: enhancement(level, sign),
    },
    |level, sign| Operation::ShearX {
        factor: sign * (level * 0.3),
    },
    |level, sign| Operation::ShearY {
        factor: sign * (level * 0.3),
    },
    |level, sign| Operation::TranslateX {
        share: sign * (level * 0.45),
    },
    |level, sign| Operation::TranslateY {
        share: sign * (level * 0.45),
    },
];

fn enhancement(level: f64, sign: f64) -> f64 {
    (1.0 + sign * (level * 0.9)).max(0.1)
}

impl Operation {
    /// Applies the operation. Those that move pixels need a filter, and what to show where they uncover the outside:
    /// `fill` has a value per channel, or one for all.
    ///
    /// ```
    /// use zosam::data::{Filter, Operation, Picture};
    ///
    /// let picture = Picture::new(vec![0, 100, 200], [1, 1, 3])?;
    /// let inverted = Operation::Invert.apply(&picture, Filter::Bicubic, &[128]);
    /// assert_eq!(inverted.pixels(), [255, 155, 55]);
    /// # Ok::<(), zosam::Error>(())
    /// ```
    pub fn apply(&self, picture: &Picture, filter: Filter, fill: &[u8]) -> Picture {
        let [_, height, width] = picture.shape();
        let moved = |matrix| affine::affine(picture, matrix, filter, fill);
        match *self {
            Self::AutoContrast => point::auto_contrast(picture),
            Self::Equalize => point::equalize(picture),
            Self::Invert => point::invert(picture),
            Self::Rotate { degrees } => moved(affine::rotation(degrees, [width, height])),
            Self::Posterize { bits } => point::posterize(picture, bits),
            Self::Solarize { threshold } => point::solarize(picture, threshold),
            Self::SolarizeAdd { amount } => point::solarize_add(picture, amount),
            Self::Color { factor } => enhance::color(picture, factor),
            Self::Contrast { factor } => enhance::contrast(picture, factor),
            Self::Brightness { factor } => enhance::brightness(picture, factor),
            Self::Sharpness { factor } => enhance::sharpness(picture, factor),
            Self::ShearX { factor } => moved([1.0, factor, 0.0, 0.0, 1.0, 0.0]),
            Self::ShearY { factor } => moved([1.0, 0.0, 0.0, factor, 1.0, 0.0]),
            Self::TranslateX { share } => moved([1.0, 0.0, share * width as f64, 0.0, 1.0, 0.0]),
            Self::TranslateY { share } => moved([1.0, 0.0, 0.0, 0.0, 1.0, share * height as f64]),
        }
    }
}
