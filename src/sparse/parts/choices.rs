//! The choices that make up a method.

use super::{
    Budget, Distribution, GradientMemory, Magnitude, Random, Regrown, Score, UpdateSchedule,
};

/// How many weights leave and come at a change of masks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exchange {
    /// `⌊f · live⌋` of each layer, `f` from the schedule; as many grow.
    Fraction,
    /// Down to one sparsity, then up to another, by the budget: equal ones without growth prune, a
    /// higher one before a lower one explores.
    Bounds {
        /// Share of dead weights after the drop.
        drop_to: f64,
        /// Share of dead weights after the growth, at most `drop_to`.
        grow_to: f64,
    },
    /// All weights whose drop score is below a threshold, but at most half of a layer's; as many
    /// grow.
    Below(f64),
}

/// Which layers grow what was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redistribution {
    /// Each layer as many as it lost. The default.
    #[default]
    None,
    /// In proportion to the number of weights a layer has left (DSR).
    BySurvivors,
    /// In proportion to the mean size of the remembered gradient over a layer's live weights
    /// (SNFS).
    ByGradient,
}

/// The parts of a method that exchanges weights during training.
///
/// Build them from [`Parts::new`], which holds SET's: whatever a method does differently is one
/// field.
#[derive(Debug)]
pub struct Parts {
    /// The method's name in reports.
    pub name: &'static str,
    /// Share of dead weights that the method is named by.
    pub sparsity: f64,
    /// Over what weights compete.
    pub budget: Budget,
    /// Share of dead weights before the first change of masks.
    pub first_sparsity: f64,
    /// Ranks weights for the first masks.
    pub start: Box<dyn Score>,
    /// When masks change and, for [`Exchange::Fraction`], how much.
    pub schedule: UpdateSchedule,
    /// How many weights leave and come.
    pub exchange: Exchange,
    /// Ranks live weights; the lowest leave.
    pub drop: Box<dyn Score>,
    /// Ranks dead weights; the highest come.
    pub grow: Box<dyn Score>,
    /// Whether a weight just dropped may grow again in the same change.
    pub regrow_dropped: bool,
    /// Which layers grow what was dropped.
    pub redistribution: Redistribution,
    /// The value of a weight that has just grown.
    pub regrown: Regrown,
    /// Whether the optimizer takes its step, too, when masks change.
    pub steps_when_due: bool,
    /// Which gradient the scores see.
    pub memory: GradientMemory,
}

impl Parts {
    /// Random masks, denser in small layers (ERK); then, in each layer, the smallest weights make
    /// way for random ones.
    pub fn new(name: &'static str, sparsity: f64, schedule: UpdateSchedule, draw: Draw) -> Self {
        Self {
            name,
            sparsity,
            budget: Budget::PerLayer(Distribution::Erk),
            first_sparsity: sparsity,
            start: Box::new(draw.start()),
            schedule,
            exchange: Exchange::Fraction,
            drop: Box::new(Magnitude),
            grow: Box::new(draw.growth()),
            regrow_dropped: true,
            redistribution: Redistribution::None,
            regrown: Regrown::Zero,
            steps_when_due: true,
            memory: GradientMemory::Batch,
        }
    }

    /// Random masks that never change; [`start`](Self::start) is what the methods that prune before
    /// training set.
    pub fn once(name: &'static str, sparsity: f64, draw: Draw) -> Self {
        Self::new(name, sparsity, UpdateSchedule::never(), draw)
    }
}

/// What random scores and schedules depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Draw {
    /// The run's seed.
    pub seed: u64,
    /// The number of steps taken.
    pub step: u64,
}

impl Draw {
    /// Random scores for the first masks.
    pub fn start(self) -> Random {
        Random {
            seed: self.seed,
            step: 0,
        }
    }

    /// Random scores for the growth at this step, independent of those for the first masks.
    pub fn growth(self) -> Random {
        Random {
            seed: self.seed,
            step: self.step + 1,
        }
    }
}
