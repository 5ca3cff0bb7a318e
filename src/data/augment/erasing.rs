//! Random erasing.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::Rectangle;
use crate::data::random::{Generator, Purpose, generator, happens, uniform};
use crate::error::{Error, Result, check};

/// What an erased rectangle shows; values are normalised ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErasingMode {
    /// 0.
    Const,
    /// One number of a standard normal distribution per channel.
    Rand,
    /// A number of a standard normal distribution for each channel of each pixel.
    Pixel,
}

/// Random erasing (Zhong et al., arXiv 1708.04896) as timm has it: rectangles of the normalised image are overwritten.
///
/// Each rectangle's area is uniform in \[`min_area`, `max_area`\] × that of the image ÷ the number of rectangles, the logarithm of
/// its aspect ratio (height by width) uniform in ±ln `min_aspect`; sides are rounded half to even. It has to be less high and
/// less wide than the image, or is drawn anew, ten times at most.
///
/// | field | default (DeiT's) | range |
/// |---|---|---|
/// | `probability` | 0.25 | 0 to 1 |
/// | `min_area` | 0.02 | 0 to `max_area` |
/// | `max_area` | 1/3 | `min_area` to 1 |
/// | `min_aspect` | 0.3 | above 0, up to 1 |
/// | `max_count` | 1 rectangle | 1 to 1000; from 1 to that many, with equal odds |
/// | `mode` | `Pixel` | |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RandomErasing {
    /// Probability with which an image is changed.
    pub probability: f64,
    /// Smallest share of the image's area.
    pub min_area: f64,
    /// Largest share of the image's area.
    pub max_area: f64,
    /// Smallest aspect ratio; the largest is its inverse.
    pub min_aspect: f64,
    /// Largest number of rectangles.
    pub max_count: usize,
    /// What the rectangle shows.
    pub mode: ErasingMode,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self {
            probability: 0.25,
            min_area: 0.02,
            max_area: 1.0 / 3.0,
            min_aspect: 0.3,
            max_count: 1,
            mode: ErasingMode::Pixel,
        }
    }
}

impl RandomErasing {
    /// Height and width of a rectangle with an area in pixels and an aspect ratio, or `None` if it does not fit into
    /// an image of `[height, width]`. May be empty.
    pub fn sides(area: f64, aspect: f64, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        let rows = (area * aspect).sqrt().round_ties_even() as usize;
        let columns = (area / aspect).sqrt().round_ties_even() as usize;
        (rows < height && columns < width).then_some([rows, columns])
    }

    /// Overwrites the rectangle in a normalised image `[channels, height, width]`, and draws what it shows.
    pub(in crate::data) fn apply(
        &self,
        image: &mut [f32],
        size: [usize; 2],
        generator: &mut Generator,
    ) {
        if !happens(generator, self.probability) {
            return;
        }
        let count = match self.max_count {
            0 | 1 => 1,
            most => generator.random_range(1..=most),
        };
        for _ in 0..count {
            if let Some(part) = self.draw(size, count, generator) {
                self.overwrite(image, size, part, generator);
            }
        }
    }

    fn draw(&self, size: [usize; 2], count: usize, generator: &mut Generator) -> Option<Rectangle> {
        let pixels = (size[0] * size[1]) as f64;
        let widest = -self.min_aspect.ln();
        for _ in 0..10 {
            let area = uniform(generator, self.min_area, self.max_area) * pixels / count as f64;
            let aspect = uniform(generator, -widest, widest).exp();
            if let Some([height, width]) = Self::sides(area, aspect, size) {
                return Some(Rectangle {
                    top: generator.random_range(0..=size[0] - height),
                    left: generator.random_range(0..=size[1] - width),
                    height,
                    width,
                });
            }
        }
        None
    }

    fn overwrite(
        &self,
        image: &mut [f32],
        [height, width]: [usize; 2],
        part: Rectangle,
        generator: &mut Generator,
    ) {
        let mut normal = || -> f32 { StandardNormal.sample(generator) };
        for plane in image.chunks_exact_mut(height * width) {
            let color = match self.mode {
                ErasingMode::Rand => normal(),
                _ => 0.0,
            };
            for row in plane
                .chunks_exact_mut(width)
                .skip(part.top)
                .take(part.height)
            {
                for pixel in &mut row[part.left..part.left + part.width] {
                    *pixel = match self.mode {
                        ErasingMode::Pixel => normal(),
                        _ => color,
                    };
                }
            }
        }
    }

    /// Erases in one normalised image `[channels, height, width]`, as the loader does it for the image at `index`.
    ///
    /// # Errors
    ///
    /// If a value is out of its range, or the image does not have the shape.
    ///
    /// ```
    /// use zosam::data::RandomErasing;
    ///
    /// let mut image = vec![9.0; 3 * 8 * 8];
    /// RandomErasing { probability: 1.0, ..RandomErasing::default() }.erase(&mut image, [3, 8, 8], 0, 0, 0)?;
    /// assert!(image.iter().any(|value| *value != 9.0));
    /// # Ok::<(), zosam::Error>(())
    /// ```
    pub fn erase(
        &self,
        image: &mut [f32],
        shape: [usize; 3],
        seed: u64,
        epoch: u64,
        index: usize,
    ) -> Result<()> {
        self.validate()?;
        let expected = shape.iter().try_fold(1, |a: usize, b| a.checked_mul(*b));
        if shape.contains(&0) || expected != Some(image.len()) {
            return Err(Error::Config {
                field: "erasing.image",
                value: format!("{} values, {shape:?}", image.len()),
                valid: "channels × height × width values, each at least 1",
            });
        }
        let mut generator = generator(seed, epoch, Purpose::Erasing, index, 0);
        self.apply(image, [shape[1], shape[2]], &mut generator);
        Ok(())
    }

    pub(in crate::data) fn validate(&self) -> Result<()> {
        let unit = |value: f64| (0.0..=1.0).contains(&value);
        check(
            "erasing.probability",
            self.probability,
            unit(self.probability),
            "0 to 1",
        )?;
        let (low, high) = (self.min_area, self.max_area);
        check("erasing.max_area", high, unit(high), "0 to 1")?;
        check(
            "erasing.min_area",
            low,
            (0.0..=high).contains(&low),
            "0 to max_area",
        )?;
        let aspect = self.min_aspect;
        check(
            "erasing.min_aspect",
            aspect,
            unit(aspect) && aspect > 0.0,
            "above 0, up to 1",
        )?;
        let count = self.max_count;
        check(
            "erasing.max_count",
            count as f64,
            (1..=1000).contains(&count),
            "1 to 1000",
        )
    }
}
