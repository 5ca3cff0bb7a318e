//! What becomes of a decoded image.

use serde::{Deserialize, Serialize};

use crate::data::Filter;
use crate::error::{Error, Result};

/// How the images of a folder are made alike.
///
/// | field | default |
/// |---|---|
/// | `color` | [`Color::Rgb`] |
/// | `sizing` | [`Sizing::CenterCrop`] from 256 to 224, torchvision's evaluation |
/// | `filter` | [`Filter::Bilinear`], torchvision's; DeiT's is bicubic |
/// | `exif_orientation` | `false`, as torchvision |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFolderConfig {
    /// Channels of every image.
    pub color: Color,
    /// Height and width.
    pub sizing: Sizing,
    /// How values between pixels are found; it widens as images shrink (antialiasing), as PIL's.
    pub filter: Filter,
    /// Whether images are turned as their camera says it was held, which is how viewers show them. Training sets seldom are: a
    /// model that learned from pictures as they are stored expects them so.
    #[serde(default)]
    pub exif_orientation: bool,
}

/// Channels of every image, whatever those of its file. Transparency is dropped; 16 bits are cut to 8, those of TIFF are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Color {
    /// Three channels; those of a grey image are equal.
    #[default]
    Rgb,
    /// One channel: `(19595 red + 38470 green + 7471 blue) / 65536`, rounded, as PIL's `convert("L")`.
    Grey,
}

/// Height and width of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sizing {
    /// As they are: sizes differ, so that a loader needs something else to make them alike.
    Original,
    /// Height and width, each 1 to 8192; the aspect ratio changes.
    Stretch([usize; 2]),
    /// The shorter side becomes `resize`, the longer one keeps the aspect ratio (rounded down); then the central `crop` × `crop` pixels.
    CenterCrop {
        /// 1 to 8192.
        resize: usize,
        /// 1 to `resize`.
        crop: usize,
    },
}

impl Default for ImageFolderConfig {
    fn default() -> Self {
        Self {
            color: Color::default(),
            sizing: Sizing::default(),
            filter: Filter::Bilinear,
            exif_orientation: false,
        }
    }
}

impl Default for Sizing {
    fn default() -> Self {
        Self::CenterCrop {
            resize: 256,
            crop: 224,
        }
    }
}

impl Color {
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Grey => 1,
        }
    }
}

impl Sizing {
    /// The square of a side, from images whose shorter side is made that long.
    pub fn square(side: usize) -> Self {
        Self::CenterCrop {
            resize: side,
            crop: side,
        }
    }

    pub(super) fn size(self) -> Option<[usize; 2]> {
        match self {
            Self::Original => None,
            Self::Stretch(size) => Some(size),
            Self::CenterCrop { crop, .. } => Some([crop; 2]),
        }
    }

    pub(super) fn validate(self) -> Result<()> {
        let is_valid = |side: usize| (1..=8192).contains(&side);
        let (is_valid, valid) = match self {
            Self::Original => (true, ""),
            Self::Stretch(size) => (size.into_iter().all(is_valid), "sides of 1 to 8192"),
            Self::CenterCrop { resize, crop } => (
                is_valid(resize) && (1..=resize).contains(&crop),
                "resize from 1 to 8192, crop from 1 to resize",
            ),
        };
        match is_valid {
            true => Ok(()),
            false => Err(Error::Config {
                field: "sizing",
                value: format!("{self:?}"),
                valid,
            }),
        }
    }
}
