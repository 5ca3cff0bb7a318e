//! Colour jitter.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{Filter, Operation, Picture};
use crate::data::random::{Generator, uniform};
use crate::error::{Result, check};

/// torchvision's `ColorJitter(brightness, contrast, saturation)` on PIL images, without hue.
///
/// Three factors, each uniform in \[max(0, 1 − strength), 1 + strength\], are applied in random order. A strength of 0 leaves
/// its step out. timm's recipes use 0.4 for all three, and leave colour jitter out where they use RandAugment.
///
/// | field | default | range |
/// |---|---|---|
/// | `brightness` | 0.4 | at least 0 |
/// | `contrast` | 0.4 | at least 0 |
/// | `saturation` | 0.4 | at least 0; without effect on gray images |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ColorJitter {
    /// Strength of [`Operation::Brightness`].
    pub brightness: f64,
    /// Strength of [`Operation::Contrast`].
    pub contrast: f64,
    /// Strength of [`Operation::Color`].
    pub saturation: f64,
}

impl Default for ColorJitter {
    fn default() -> Self {
        Self {
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
        }
    }
}

impl ColorJitter {
    /// The steps of one image, in their order.
    pub(super) fn draw(&self, generator: &mut Generator) -> Vec<Operation> {
        let mut steps = Vec::with_capacity(3);
        let mut add = |strength: f64, operation: fn(f64) -> Operation| {
            if strength > 0.0 {
                let low = (1.0 - strength).max(0.0);
                steps.push(operation(uniform(generator, low, 1.0 + strength)));
            }
        };
        add(self.brightness, |factor| Operation::Brightness { factor });
        add(self.contrast, |factor| Operation::Contrast { factor });
        add(self.saturation, |factor| Operation::Color { factor });
        steps.shuffle(generator);
        steps
    }

    pub(super) fn apply(&self, picture: Picture, generator: &mut Generator) -> Picture {
        let steps = self.draw(generator).into_iter();
        steps.fold(picture, |picture, step| {
            step.apply(&picture, Filter::default(), &[])
        })
    }

    pub(super) fn validate(&self) -> Result<()> {
        for (field, strength) in [
            ("color_jitter.brightness", self.brightness),
            ("color_jitter.contrast", self.contrast),
            ("color_jitter.saturation", self.saturation),
        ] {
            check(field, strength, strength >= 0.0, "finite and at least 0")?;
        }
        Ok(())
    }
}
