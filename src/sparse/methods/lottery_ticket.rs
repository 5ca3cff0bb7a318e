//! Lottery tickets: iterative magnitude pruning with rewinding.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check};
use crate::masks::{LiveSet, count};
use crate::sparse::method::SparsityMethod;
use crate::sparse::parts::distribution::check_sparsity;
use crate::sparse::parts::one_shot::keep_globally;
use crate::sparse::parts::participants::{among_participants, budget_of_participants};
use crate::sparse::parts::{Magnitude, Score};
use crate::sparse::plan::{GradientUse, Plan};
use crate::sparse::weight::Weight;

/// On which levels of a lottery ticket's search the perturbation acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Perturbed {
    /// On the last, which trains the ticket; the search before it costs what the base optimizer
    /// costs. The default.
    #[default]
    Ticket,
    /// On all.
    Everywhere,
}

/// Trains, removes the smallest weights of the whole net, rewinds the others to an early step, and
/// starts over.
///
/// Level 0 trains the dense net for `level_steps` steps. At the end of each level `⌈rate · live⌉`
/// weights die, the last time just so many that `round((1 − S) N)` live; all other parameters and
/// the running statistics return to what they were `rewind` steps after the attach, the optimizer
/// starts afresh, and the next level goes on from step `rewind` of the schedule. There are
/// `⌈ln(1 − S)/ln(1 − rate)⌉` prunings, see [`levels`](Self::levels), and
/// [`total_steps`](Self::total_steps) steps. Everything happens inside
/// [`step_with`](crate::SharpOptimizer::step_with); the caller takes learning rate and data from
/// [`Sparsity::schedule_step`](crate::Sparsity::schedule_step).
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `level_steps` | to be given | greater than `rewind` |
/// | `rewind` | 0: the original lottery ticket | |
/// | `rate` | 0.2 | (0, 1) |
/// | `perturbed` | on the last level | |
///
/// Frankle & Carbin, "The Lottery Ticket Hypothesis", ICLR 2019 (arXiv 1803.03635); rewinding to a
/// later step: Frankle et al., 2020 (arXiv 1912.05671), as in the authors' `open_lth`. How ZO-SAM
/// enters is not said in its paper.
///
/// ```
/// use zosam::sparse::LotteryTicket;
/// let method = LotteryTicket::new(0.9).with_level_steps(1000).with_rewind(100);
/// assert_eq!((method.levels(), method.total_steps()), (11, 1000 + 11 * 900));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LotteryTicket {
    /// Share of dead weights in the end.
    pub sparsity: f64,
    /// Steps of level 0, and the length of the learning-rate schedule.
    pub level_steps: u64,
    /// The step to which weights return.
    pub rewind: u64,
    /// Share of the live weights that die at the end of a level.
    pub rate: f64,
    /// On which levels the perturbation acts.
    pub perturbed: Perturbed,
}

impl LotteryTicket {
    /// The original lottery ticket: back to the initial weights, a fifth of the weights a level.
    /// Say by [`with_level_steps`](Self::with_level_steps) how long a level is.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            level_steps: 0,
            rewind: 0,
            rate: 0.2,
            perturbed: Perturbed::Ticket,
        }
    }

    /// Sets how many steps the dense net is trained for, which is a whole training.
    pub fn with_level_steps(mut self, steps: u64) -> Self {
        self.level_steps = steps;
        self
    }

    /// Sets the step to which weights return.
    pub fn with_rewind(mut self, step: u64) -> Self {
        self.rewind = step;
        self
    }

    /// Sets the share of the live weights that die at the end of a level.
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// Sets on which levels the perturbation acts.
    pub fn with_perturbed(mut self, perturbed: Perturbed) -> Self {
        self.perturbed = perturbed;
        self
    }

    /// Number of prunings.
    pub fn levels(&self) -> u64 {
        let exact = (1.0 - self.sparsity).ln() / (1.0 - self.rate).ln();
        // Forgives rounding: 1 − 0.8² at a rate of 0.2 takes two levels.
        (exact - 1e-9).ceil().max(0.0) as u64
    }

    /// Number of steps of the whole search, the ticket's training included.
    pub fn total_steps(&self) -> u64 {
        let again = self.levels().saturating_mul(self.later_steps());
        self.level_steps.saturating_add(again)
    }

    /// Steps of a level after the first.
    fn later_steps(&self) -> u64 {
        // At least 1 for a configuration that `validate` has yet to refuse.
        self.level_steps.saturating_sub(self.rewind).max(1)
    }

    /// Number of prunings before a step.
    fn level(&self, step: u64) -> u64 {
        match step.checked_sub(self.level_steps) {
            None => 0,
            Some(after) => (1 + after / self.later_steps()).min(self.levels()),
        }
    }
}

impl SparsityMethod for LotteryTicket {
    fn plan(&self) -> Plan {
        let plan = Plan::new("lth", self.sparsity).with_gradients(GradientUse::None);
        plan.with_rewind_step((self.levels() > 0).then_some(self.rewind))
    }

    fn validate(&self) -> Result<()> {
        check_sparsity(self.sparsity)?;
        let valid = self.rate > 0.0 && self.rate < 1.0;
        check("rate", self.rate, valid, "greater than 0 and less than 1")?;
        match self.level_steps > self.rewind {
            true => Ok(()),
            false => Err(Error::Config {
                field: "level_steps",
                value: self.level_steps.to_string(),
                valid: "greater than `rewind`: give it by `with_level_steps`",
            }),
        }
    }

    /// Up to one weight a level, since whole weights die.
    fn sparsity_after(&self, steps: u64) -> f64 {
        let live = (1.0 - self.rate).powi(self.level(steps) as i32);
        1.0 - live.max(1.0 - self.sparsity)
    }

    fn target_densities(&self, _shapes: &[Vec<usize>]) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    fn initial(&mut self, weights: &[Weight], _seed: u64) -> Result<Vec<LiveSet>> {
        self.check_budget(weights)?;
        Ok(weights
            .iter()
            .map(|weight| vec![true; weight.len()])
            .collect())
    }

    fn is_due(&self, step: u64) -> bool {
        let ended = self.level(step + 1) > self.level(step);
        ended && self.levels() > 0
    }

    fn schedule_step(&self, step: u64) -> u64 {
        match step.checked_sub(self.level_steps) {
            None => step,
            Some(after) => self.rewind + after % self.later_steps(),
        }
    }

    fn perturbs(&self, step: u64) -> bool {
        self.perturbed == Perturbed::Everywhere || self.level(step) == self.levels()
    }

    fn update(&mut self, step: u64, weights: &[Weight], _seed: u64) -> Result<Vec<LiveSet>> {
        let budget = budget_of_participants(weights, self.sparsity);
        among_participants(weights, |weights| {
            let scores = weights.iter().map(|weight| Magnitude.checked(weight));
            let scores: Vec<Vec<f32>> = scores.collect::<Result<_>>()?;
            let live: usize = weights.iter().map(|weight| count(&weight.live)).sum();
            let pruned = (self.rate * live as f64 - 1e-9).ceil() as usize;
            let keep = match self.level(step + 1) == self.levels() {
                true => budget.min(live),
                false => (live - pruned).max(budget),
            };
            Ok(keep_globally(weights, &scores, keep.min(live)))
        })
    }
}
