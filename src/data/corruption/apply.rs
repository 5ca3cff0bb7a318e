//! From images to corrupted images.

use rayon::prelude::*;

use super::picture::Picture;
use super::{Corruption, blur, digital, draw, elastic, jpeg, motion, noise, spatter, weather};
use crate::data::Images;
use crate::error::{Error, Result};

impl Corruption {
    /// The corrupted image, as bytes `[channels, height, width]` like `pixels`.
    ///
    /// `severity` is 1 to 5. What is random is a function of the corruption, the severity, `seed` and `index`, the image's
    /// place in its set, and of the image's size; shot noise depends on the pixels, too.
    ///
    /// # Errors
    ///
    /// If the severity is not 1 to 5, there are not one or three channels, a side is 0, the number of pixels is not that of
    /// the shape, or JPEG is asked for without the feature `images` or of a side above 65,535.
    pub fn apply(
        self,
        pixels: &[u8],
        shape: [usize; 3],
        severity: u8,
        seed: u64,
        index: usize,
    ) -> Result<Vec<u8>> {
        let draw = self.draw(pixels, shape, severity, seed, index)?;
        self.apply_draw(pixels, shape, severity, &draw)
    }

    /// The random numbers of an image, in the order in which [`apply_draw`](Self::apply_draw) takes them.
    ///
    /// With `n` pixels of `channels` values:
    ///
    /// | corruption | numbers |
    /// |---|---|
    /// | Gaussian and speckle noise | `channels n` standard normal |
    /// | shot noise | `channels n` counts |
    /// | impulse noise | `channels n` in `[0, 1)` that say which, then as many that say 0 or 1 |
    /// | glass blur | two of −1 and 0, column then row, for each pixel of each iteration |
    /// | motion blur | an angle in degrees |
    /// | snow | `n` standard normal, then an angle in degrees |
    /// | frost and fog | `m² − 1` in `[−1, 1)`, `m` the power of 2 that is at least the larger side |
    /// | elastic transform | 6 for the corners, `n` for columns, `n` for rows, in `[−1, 1)` |
    /// | spatter | `n` standard normal |
    /// | others | none |
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn draw(
        self,
        pixels: &[u8],
        shape: [usize; 3],
        severity: u8,
        seed: u64,
        index: usize,
    ) -> Result<Vec<f64>> {
        check(pixels, shape, severity)?;
        Ok(draw::draw(self, pixels, shape, severity, seed, index))
    }

    /// The corrupted image for given random numbers: the part of a corruption that can be compared with other programs.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply), and if `draw` has not the length that [`draw`](Self::draw) describes.
    pub fn apply_draw(
        self,
        pixels: &[u8],
        shape: [usize; 3],
        severity: u8,
        draw: &[f64],
    ) -> Result<Vec<u8>> {
        check(pixels, shape, severity)?;
        let expected = draw::count(self, shape, severity);
        if draw.len() != expected || draw.iter().any(|number| !number.is_finite()) {
            return Err(Error::Config {
                field: "corruption.draw",
                value: format!("{} numbers for {self} of {shape:?}", draw.len()),
                valid: "as many finite numbers as `Corruption::draw` describes",
            });
        }
        let level = usize::from(severity) - 1;
        let picture = Picture::new(pixels, shape);
        Ok(match self {
            Self::GaussianNoise => noise::gaussian(picture, level, draw),
            Self::ShotNoise => noise::shot(picture, level, draw),
            Self::ImpulseNoise => noise::impulse(picture, level, draw),
            Self::SpeckleNoise => noise::speckle(picture, level, draw),
            Self::DefocusBlur => blur::defocus(picture, level),
            Self::GlassBlur => blur::glass(picture, level, draw),
            Self::MotionBlur => motion::blur(pixels, shape, level, draw[0]),
            Self::ZoomBlur => blur::zoom(picture, level),
            Self::GaussianBlur => blur::gaussian(picture, level),
            Self::Snow => weather::snow(picture, level, draw),
            Self::Frost => weather::frost(picture, level, draw),
            Self::Fog => weather::fog(picture, level, draw),
            Self::Spatter => spatter::spatter(picture, level, draw),
            Self::Brightness => digital::brightness(picture, level),
            Self::Contrast => digital::contrast(picture, level),
            Self::Saturate => digital::saturate(picture, level),
            Self::ElasticTransform => elastic::elastic(picture, level, draw),
            Self::Pixelate => digital::pixelate(pixels, shape, level),
            Self::JpegCompression => jpeg::jpeg(pixels, shape, level)?,
        })
    }

    /// A set with every image corrupted, labels as they were; named such as `cifar10 test, fog 3`.
    ///
    /// Images are worked on in parallel, and the result does not depend on the number of threads.
    ///
    /// ```
    /// use zosam::data::{Corruption, Images};
    /// let clean = Images::new("example", vec![100; 2 * 3 * 32 * 32], vec![7, 9], [3, 32, 32], 10)?;
    /// let foggy = Corruption::Fog.corrupt(&clean, 3, 0)?;
    /// assert_eq!((foggy.name(), foggy.label(1)), ("example, fog 3", 9));
    /// assert_ne!(foggy.pixels(0), foggy.pixels(1)); // each has fog of its own
    /// # Ok::<(), zosam::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn corrupt(self, images: &Images, severity: u8, seed: u64) -> Result<Images> {
        let shape = images.shape();
        let one = |index| self.apply(images.pixels(index), shape, severity, seed, index);
        let pixels: Result<Vec<Vec<u8>>> = (0..images.len()).into_par_iter().map(one).collect();
        let labels = (0..images.len()).map(|index| images.label(index) as u32);
        let name = format!("{}, {self} {severity}", images.name());
        Images::new(
            &name,
            pixels?.concat(),
            labels.collect(),
            shape,
            images.classes(),
        )
    }
}

fn check(pixels: &[u8], shape: [usize; 3], severity: u8) -> Result<()> {
    if !(1..=5).contains(&severity) {
        return Err(Error::Config {
            field: "corruption.severity",
            value: severity.to_string(),
            valid: "1 to 5",
        });
    }
    let size = shape
        .iter()
        .try_fold(1_usize, |product, side| product.checked_mul(*side));
    let is_valid = [1, 3].contains(&shape[0]) && size == Some(pixels.len()) && size != Some(0);
    match is_valid {
        true => Ok(()),
        false => Err(Error::Config {
            field: "corruption.shape",
            value: format!("{shape:?} for {} pixels", pixels.len()),
            valid: "[1 or 3 channels, height, width], with one byte for each",
        }),
    }
}
