//! How well masks agree.

/// Counts of pixels, by true and predicted class.
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Counts the pixels of a mask; classes are below the number of classes.
    pub fn count(&mut self, right: &[u8], found: &[u8]) {
        for (right, found) in right.iter().zip(found) {
            self.counts[usize::from(*right) * self.classes + usize::from(*found)] += 1;
        }
    }

    /// Share of the pixels whose class is right.
    pub fn accuracy(&self) -> f64 {
        let right = (0..self.classes).map(|class| self.at(class, class));
        right.sum::<f64>() / self.counts.iter().sum::<u64>() as f64
    }

    /// The mean of the classes' intersections over unions, `both / (right + found − both)`, over all pixels that were counted.
    ///
    /// Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", 2015, which counts the background as a class, too. A class that
    /// neither occurs nor was predicted is left out; not a number if nothing was counted.
    pub fn mean_iou(&self) -> f64 {
        let classes = 0..self.classes;
        let shares: Vec<f64> = classes
            .filter_map(|class| {
                let both = self.at(class, class);
                let others = 0..self.classes;
                let sum = others.map(|other| self.at(class, other) + self.at(other, class));
                let either = sum.sum::<f64>() - both;
                (either > 0.0).then(|| both / either)
            })
            .collect();
        shares.iter().sum::<f64>() / shares.len() as f64
    }

    fn at(&self, right: usize, found: usize) -> f64 {
        self.counts[right * self.classes + found] as f64
    }
}
