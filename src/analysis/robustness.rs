//! How a classifier stands corrupted images.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::Corruption;

/// Accuracy on corrupted images, by corruption and severity.
///
/// Means are over what was measured: first over the severities of a corruption, then over corruptions, each counting the
/// same. The 15 corruptions that published means are over and the 4 extra ones are kept apart. These are plain means, as is
/// usual for CIFAR-10-C; the mCE of ImageNet-C is divided by AlexNet's errors.
///
/// Hendrycks and Dietterich, 2019 (arXiv 1903.12261).
///
/// ```
/// use zosam::{analysis::Robustness, data::Corruption};
/// let mut robustness = Robustness::new(0.95);
/// robustness.add(Corruption::Fog, 1, 0.9);
/// robustness.add(Corruption::Fog, 5, 0.7);
/// robustness.add(Corruption::Contrast, 5, 0.4);
/// assert_eq!(robustness.error(Corruption::Fog), Some(0.2));
/// assert_eq!(robustness.mean_error(), Some(0.4));
/// assert_eq!(robustness.mean_extra_error(), None);
/// println!("{robustness}");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    clean: f64,
    accuracies: BTreeMap<Corruption, BTreeMap<u8, f64>>,
}

impl Robustness {
    /// Nothing measured yet but the accuracy on the images as they are, from 0 to 1.
    pub fn new(clean_accuracy: f64) -> Self {
        Self {
            clean: clean_accuracy,
            accuracies: BTreeMap::new(),
        }
    }

    /// Adds the accuracy, from 0 to 1, at a severity; one that is there already is replaced.
    pub fn add(&mut self, corruption: Corruption, severity: u8, accuracy: f64) {
        let of_corruption = self.accuracies.entry(corruption).or_default();
        of_corruption.insert(severity, accuracy);
    }

    /// Accuracy on the images as they are.
    pub fn clean_accuracy(&self) -> f64 {
        self.clean
    }

    /// Accuracy at one severity, if it was measured.
    pub fn accuracy(&self, corruption: Corruption, severity: u8) -> Option<f64> {
        self.accuracies.get(&corruption)?.get(&severity).copied()
    }

    /// Mean share of wrong answers over the severities that were measured.
    pub fn error(&self, corruption: Corruption) -> Option<f64> {
        let accuracies = self.accuracies.get(&corruption)?.values();
        mean(accuracies.map(|accuracy| 1.0 - accuracy))
    }

    /// Mean of [`error`](Self::error) over those of the 15 corruptions that were measured.
    pub fn mean_error(&self) -> Option<f64> {
        mean(
            Corruption::BENCHMARK
                .iter()
                .filter_map(|corruption| self.error(*corruption)),
        )
    }

    /// Mean of [`error`](Self::error) over those of the 4 extra corruptions that were measured.
    pub fn mean_extra_error(&self) -> Option<f64> {
        mean(
            Corruption::EXTRA
                .iter()
                .filter_map(|corruption| self.error(*corruption)),
        )
    }

    /// Whether all 15 corruptions were measured at all 5 severities, so that means can be compared with others'.
    pub fn is_complete(&self) -> bool {
        let is_complete = |corruption: &Corruption| {
            (1..=5).all(|severity| self.accuracy(*corruption, severity).is_some())
        };
        Corruption::BENCHMARK.iter().all(is_complete)
    }
}

/// Errors in percent: a line for each corruption, a column for each severity, and their mean.
impl fmt::Display for Robustness {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{:<18}     1     2     3     4     5  mean", "error (%)")?;
        for corruption in self.accuracies.keys() {
            write!(f, "{corruption:<18}")?;
            for severity in 1..=5 {
                let accuracy = self.accuracy(*corruption, severity);
                write!(f, " {}", percent(accuracy.map(|accuracy| 1.0 - accuracy)))?;
            }
            writeln!(f, " {}", percent(self.error(*corruption)))?;
        }
        let count = self
            .accuracies
            .keys()
            .filter(|corruption| corruption.is_benchmark())
            .count();
        let mut line = |name: String, error| writeln!(f, "{name:<48} {}", percent(error));
        line("clean".to_string(), Some(1.0 - self.clean))?;
        line(
            format!("mean of {count} of 15 corruptions"),
            self.mean_error(),
        )?;
        if let Some(error) = self.mean_extra_error() {
            let extra = self.accuracies.len() - count;
            line(
                format!("mean of {extra} of 4 extra corruptions"),
                Some(error),
            )?;
        }
        Ok(())
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or("    -".to_string(), |share| {
        format!("{:5.1}", 100.0 * share)
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_what_was_measured() {
        let mut robustness = Robustness::new(0.9);
        for severity in 1..=5 {
            for corruption in Corruption::BENCHMARK {
                robustness.add(corruption, severity, 0.8);
            }
            robustness.add(Corruption::Fog, severity, 1.0 - 0.1 * f64::from(severity));
            assert_eq!(robustness.is_complete(), severity == 5);
        }
        robustness.add(Corruption::Spatter, 2, 0.25);
        let close = |value: Option<f64>, expected: f64| {
            assert!((value.unwrap() - expected).abs() < 1e-12, "{value:?}");
        };
        close(robustness.error(Corruption::Fog), 0.3);
        close(robustness.mean_error(), (14.0 * 0.2 + 0.3) / 15.0);
        close(robustness.mean_extra_error(), 0.75);
        let text = robustness.to_string();
        for line in [
            "fog                 10.0  20.0  30.0  40.0  50.0  30.0",
            "spatter                -  75.0     -     -     -  75.0",
            "clean                                             10.0",
            "mean of 15 of 15 corruptions                      20.7",
            "mean of 1 of 4 extra corruptions                  75.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let json = serde_json::to_string(&robustness).unwrap();
        assert!(json.contains(r#""spatter":{"2":0.25}"#), "{json}");
        assert_eq!(
            serde_json::from_str::<Robustness>(&json).unwrap(),
            robustness
        );
    }
}
