//! How good a classifier's answers are.

#[cfg(feature = "data")]
use burn::tensor::Device;
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

#[cfg(feature = "data")]
use crate::data::Loader;
#[cfg(feature = "data")]
use crate::error::Result;

/// Bins of confidence, as in the paper.
const BINS: usize = 15;

/// Accuracy, loss, confusion and calibration over batches of logits.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Int, Tensor};
/// use zosam::analysis::Evaluation;
/// let device = Device::flex();
/// let logits = Tensor::from_floats([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]], &device);
/// let labels = Tensor::<1, Int>::from_ints([0, 1, 1], &device);
/// let mut evaluation = Evaluation::new(2);
/// evaluation.add(logits, labels);
/// assert_eq!(evaluation.accuracy(), 2.0 / 3.0);
/// assert_eq!(evaluation.confusion(), [[1, 0], [1, 1]]);
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    loss: f64,
    among_five: u64,
    /// Images of a class (row) that were taken for a class (column).
    confusion: Vec<Vec<u64>>,
    bins: [Bin; BINS],
}

/// Answers of about the same confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    answers: u64,
    right: u64,
    confidence: f64,
}

impl Evaluation {
    /// Nothing seen yet.
    pub fn new(classes: usize) -> Self {
        Self {
            loss: 0.0,
            among_five: 0,
            confusion: vec![vec![0; classes]; classes],
            bins: Default::default(),
        }
    }

    /// A classifier's answers on all images of a loader, with its batches on a device.
    ///
    /// `logits` makes `[batch, classes]` of `[batch, channels, height, width]`. Give it a model in inference mode
    /// (`model.valid()`), and a loader without augmentation ([`LoaderConfig::evaluation`](crate::data::LoaderConfig)).
    ///
    /// ```
    /// # #[cfg(all(feature = "flex", feature = "models"))] {
    /// use burn::{module::Module, tensor::Device};
    /// use zosam::{analysis::Evaluation, data::{Images, Loader, LoaderConfig}, models::ResNetConfig};
    /// let images = Images::new("tiny", vec![0; 3 * 64], vec![0, 1, 1], [1, 8, 8], 2)?;
    /// let loader = Loader::new(images, LoaderConfig::evaluation())?;
    /// let config = ResNetConfig::resnet32(2).with_depth(8).with_channels(1);
    /// let model = config.init(&Device::flex().autodiff())?.valid();
    /// let evaluation = Evaluation::of(&loader, &Device::flex(), |images| model.forward(images))?;
    /// assert_eq!(evaluation.images(), 3);
    /// # }
    /// # Ok::<(), zosam::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    ///
    /// # Panics
    ///
    /// As [`add`](Self::add), for a classifier of other classes than the images have.
    #[cfg(feature = "data")]
    pub fn of(
        loader: &Loader,
        device: &Device,
        logits: impl Fn(Tensor<4>) -> Tensor<2>,
    ) -> Result<Self> {
        let mut evaluation = Self::new(loader.images().classes());
        for batch in loader.epoch(0, 0) {
            let (images, labels) = batch?.to_tensors(device);
            evaluation.add(logits(images), labels);
        }
        Ok(evaluation)
    }

    /// Adds the logits `[batch, classes]` of images with labels `[batch]`.
    ///
    /// # Panics
    ///
    /// If the number of classes is not that of [`new`](Self::new), or a label is not below it.
    pub fn add(&mut self, logits: Tensor<2>, labels: Tensor<1, Int>) {
        let [_, classes] = logits.dims();
        assert_eq!(classes, self.confusion.len(), "logits of each class");
        let chances: Vec<f64> = softmax(logits, 1).to_data().iter::<f64>().collect();
        let labels = labels.to_data();
        for (chances, label) in chances.chunks(classes).zip(labels.iter::<i64>()) {
            self.add_one(chances, label as usize);
        }
    }

    fn add_one(&mut self, chances: &[f64], label: usize) {
        // If chances are equal, the first class counts as the answer; NaN is none.
        let best = |best: usize, class: usize| {
            if chances[class] > chances[best] {
                class
            } else {
                best
            }
        };
        let answer = (0..chances.len()).fold(0, best);
        let better = chances
            .iter()
            .filter(|chance| **chance > chances[label])
            .count();
        self.loss -= chances[label].max(f64::MIN_POSITIVE).ln();
        self.among_five += u64::from(better < 5 && !chances[label].is_nan());
        self.confusion[label][answer] += 1;
        let confidence = chances[answer];
        // A bin holds its upper bound; NaN goes to the first.
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        self.bins[bin].answers += 1;
        self.bins[bin].right += u64::from(answer == label);
        self.bins[bin].confidence += confidence;
    }

    /// Number of images.
    pub fn images(&self) -> u64 {
        self.confusion.iter().flatten().sum()
    }

    /// Share of images whose largest logit is their label's.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.confusion.len())
            .map(|class| self.confusion[class][class])
            .sum();
        self.share(right)
    }

    /// Share of images whose label's logit is among the five largest.
    pub fn top5(&self) -> f64 {
        self.share(self.among_five)
    }

    /// Mean cross-entropy.
    pub fn loss(&self) -> f64 {
        self.loss / self.images().max(1) as f64
    }

    /// Images of each class (row) that were taken for each class (column).
    pub fn confusion(&self) -> &[Vec<u64>] {
        &self.confusion
    }

    /// Expected calibration error: the mean distance of confidence and accuracy over 15 bins of equal width, weighted
    /// by their answers.
    ///
    /// Guo et al., "On Calibration of Modern Neural Networks", 2017 (arXiv 1706.04599).
    pub fn calibration_error(&self) -> f64 {
        let gaps = self
            .bins
            .iter()
            .map(|bin| (bin.confidence - bin.right as f64).abs());
        gaps.sum::<f64>() / self.images().max(1) as f64
    }

    fn share(&self, count: u64) -> f64 {
        count as f64 / self.images().max(1) as f64
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// Six classes, by hand.
    #[test]
    fn by_hand() {
        let chances: [[f64; 6]; 3] = [
            [0.70, 0.06, 0.06, 0.06, 0.06, 0.06],
            [0.30, 0.25, 0.20, 0.15, 0.06, 0.04],
            [0.30, 0.25, 0.20, 0.15, 0.06, 0.04],
        ];
        let logits = chances.map(|row| row.map(|chance| chance.ln() as f32));
        let device = Device::flex();
        let mut evaluation = Evaluation::new(6);
        evaluation.add(
            Tensor::from_floats(logits, &device),
            Tensor::from_ints([0, 5, 2], &device),
        );
        assert_eq!(evaluation.images(), 3);
        assert_eq!(evaluation.accuracy(), 1.0 / 3.0);
        assert_eq!(evaluation.top5(), 2.0 / 3.0);
        let close = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-6, "{value}");
        close(
            evaluation.loss(),
            -(0.7_f64.ln() + 0.04_f64.ln() + 0.2_f64.ln()) / 3.0,
        );
        // One right answer at 0.7, two wrong ones at 0.3.
        close(evaluation.calibration_error(), (0.3 + 0.6) / 3.0);
    }
}
