//! What a model's input is.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check};

/// An image as a model takes it, and how a picture becomes one.
///
/// The input is `(pixel / 255 − mean) / deviation`, channel by channel, of a picture that was
/// resized and cropped.
///
/// ```
/// use zosam::model_file::{Input, Resampling, Resize};
/// let imagenet = Input {
///     shape: [3, 224, 224],
///     mean: vec![0.485, 0.456, 0.406],
///     deviation: vec![0.229, 0.224, 0.225],
///     resize: Resize::CenterCrop { shorter_side: 256 },
///     resampling: Resampling::Bilinear,
/// };
/// assert!(imagenet.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Channels (1 for grey, 3 for colour), height and width; sides of 1 to 8192.
    pub shape: [usize; 3],
    /// Mean of each channel, in units of full intensity.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, above 0.
    pub deviation: Vec<f32>,
    /// How a picture of another size gets this one.
    pub resize: Resize,
    /// How values between pixels are found.
    pub resampling: Resampling,
}

/// How a picture gets the size of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Both sides are stretched.
    Stretch,
    /// The shorter side is made this long, then the middle is cut out, which is a square.
    CenterCrop {
        /// At least the side of the input, at most 8192.
        shorter_side: usize,
    },
}

/// How values between pixels are found; filters widen as pictures shrink, as PIL's do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Resampling {
    Bilinear,
    Bicubic,
}

impl Input {
    /// Checks that the numbers fit each other.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the field.
    pub fn validate(&self) -> Result<()> {
        let [channels, height, width] = self.shape;
        let is_side = |side: usize| (1..=8192).contains(&side);
        if !(matches!(channels, 1 | 3) && is_side(height) && is_side(width)) {
            return Err(Error::Config {
                field: "input.shape",
                value: format!("{:?}", self.shape),
                valid: "1 or 3 channels, height and width of 1 to 8192",
            });
        }
        for (field, values) in [
            ("input.mean", &self.mean),
            ("input.deviation", &self.deviation),
        ] {
            if values.len() != channels {
                return Err(Error::Config {
                    field,
                    value: format!("{} values for {channels} channels", values.len()),
                    valid: "one value per channel",
                });
            }
        }
        for &mean in &self.mean {
            check("input.mean", mean.into(), true, "finite")?;
        }
        for &deviation in &self.deviation {
            let (value, is_valid) = (deviation.into(), deviation > 0.0);
            check("input.deviation", value, is_valid, "finite and above 0")?;
        }
        match self.resize {
            Resize::CenterCrop { shorter_side }
                if height != width || !(height..=8192).contains(&shorter_side) =>
            {
                Err(Error::Config {
                    field: "input.resize",
                    value: format!("{:?} to {height} × {width}", self.resize),
                    valid: "a square input, and a side from its own to 8192",
                })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(feature = "data")]
impl Input {
    /// The normalisation, for a [`LoaderConfig`](crate::data::LoaderConfig).
    pub fn normalization(&self) -> crate::data::Normalization {
        crate::data::Normalization {
            mean: self.mean.clone(),
            deviation: self.deviation.clone(),
        }
    }
}

#[cfg(feature = "images")]
mod framing {
    use super::{Error, Input, Resampling, Resize, Result};
    use crate::data::{Color, Filter, ImageFolderConfig, Normalization, Sizing};

    impl Input {
        /// The input that a folder's images and a normalisation make.
        ///
        /// # Errors
        ///
        /// If images keep their own size, or a number is out of its range.
        pub fn new(framing: &ImageFolderConfig, normalization: &Normalization) -> Result<Self> {
            let ([height, width], resize) = match framing.sizing {
                Sizing::Stretch(size) => (size, Resize::Stretch),
                Sizing::CenterCrop { resize, crop } => {
                    let shorter_side = resize;
                    ([crop; 2], Resize::CenterCrop { shorter_side })
                }
                Sizing::Original => {
                    return Err(Error::Config {
                        field: "sizing",
                        value: format!("{:?}", framing.sizing),
                        valid: "one that makes images of one size",
                    });
                }
            };
            let channels = match framing.color {
                Color::Grey => 1,
                Color::Rgb => 3,
            };
            let input = Self {
                shape: [channels, height, width],
                mean: normalization.mean.clone(),
                deviation: normalization.deviation.clone(),
                resize,
                resampling: match framing.filter {
                    Filter::Bilinear => Resampling::Bilinear,
                    Filter::Bicubic => Resampling::Bicubic,
                },
            };
            input.validate()?;
            Ok(input)
        }

        /// How [`read_picture`](crate::data::read_picture) and
        /// [`ImageFolder`](crate::data::ImageFolder) make such inputs.
        pub fn framing(&self) -> ImageFolderConfig {
            let [channels, height, width] = self.shape;
            ImageFolderConfig {
                color: match channels {
                    1 => Color::Grey,
                    _ => Color::Rgb,
                },
                sizing: match self.resize {
                    Resize::Stretch => Sizing::Stretch([height, width]),
                    Resize::CenterCrop { shorter_side } => Sizing::CenterCrop {
                        resize: shorter_side,
                        crop: height,
                    },
                },
                filter: match self.resampling {
                    Resampling::Bilinear => Filter::Bilinear,
                    Resampling::Bicubic => Filter::Bicubic,
                },
                ..ImageFolderConfig::default()
            }
        }
    }
}
