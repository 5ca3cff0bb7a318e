//! The perturbations, with their papers' defaults.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use zosam::perturb::*;
use zosam::sparse::Method;
use zosam::tree::DirectionDistribution;

use super::names::{DirectionName, DrawName, MemoryName, ScopeName, SharpnessName, SidesName};

/// Where the gradient is measured.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Sharpness")]
pub struct SharpnessArgs {
    /// Where the gradient is measured.
    #[arg(long, value_enum, default_value_t = SharpnessName::ZoSam)]
    pub sharpness: SharpnessName,
    /// Radius of the perturbation [default: the method's paper's: 0.05; asam 0.5, fsam and fisher-sam 0.1].
    #[arg(long)]
    pub rho: Option<f64>,
    /// When to perturb: always, or any of every:K, tail:SHARE, ramp:SHARE and frozen, separated by commas.
    ///
    /// The tail of the run; a ramp over which the radius grows; frozen is from the last change of masks on.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "always",
        hide_short_help = true
    )]
    pub sharpness_schedule: When,
    /// Parameters that are perturbed.
    #[arg(long, value_enum, default_value_t = ScopeName::All, hide_short_help = true)]
    pub perturbed: ScopeName,
    /// ZO-SAM: directions per step; 0 takes the forecast of guided directions unprobed.
    #[arg(long, default_value_t = 1, hide_short_help = true)]
    pub directions: usize,
    /// ZO-SAM: where directions come from; guided is from the gradients of earlier steps.
    #[arg(long, value_enum, default_value_t = DirectionName::Isotropic, hide_short_help = true)]
    pub direction: DirectionName,
    /// ZO-SAM: gradients that guided directions remember.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 10,
        hide_short_help = true
    )]
    pub history: usize,
    /// ZO-SAM: distribution of random directions.
    #[arg(long, value_enum, default_value_t = DrawName::Gaussian, hide_short_help = true)]
    pub draw: DrawName,
    /// ZO-SAM: two-sided or one-sided differences.
    #[arg(long, value_enum, default_value_t = SidesName::Two, hide_short_help = true)]
    pub sides: SidesName,
    /// ZO-SAM: absolute step of the probes, as in the paper [default: probes at the radius].
    #[arg(long, hide_short_help = true)]
    pub delta: Option<f64>,
    /// ZO-SAM: share of the batch that probes look at.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 1.0,
        hide_short_help = true
    )]
    pub probe_fraction: f64,
    /// ZO-SAM: steps that a direction serves.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 1,
        hide_short_help = true
    )]
    pub reuse: u64,
    /// ZO-SAM: which probes keep their graph: speed (both), or memory (last, none).
    #[arg(long, value_enum, default_value_t = MemoryName::Both, hide_short_help = true)]
    pub memory: MemoryName,
    /// LookSAM: distance of the steps with an ascent.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 5,
        hide_short_help = true
    )]
    pub look_every: u64,
    /// LookSAM: weight of the part that is kept between ascents [default: the paper's, 0.7].
    #[arg(long, hide_short_help = true)]
    pub look_alpha: Option<f64>,
}

impl SharpnessArgs {
    pub fn config(&self) -> SharpnessConfig {
        let scope = match self.perturbed {
            ScopeName::All => Scope::AllTrainable,
            ScopeName::Sparse => Scope::SparseWeights,
        };
        macro_rules! at_rho {
            ($choice:ident, $config:expr) => {{
                let mut config = $config;
                config.rho = self.rho.unwrap_or(config.rho);
                config.scope = scope;
                SharpnessConfig::$choice(config)
            }};
        }
        match self.sharpness {
            SharpnessName::None => SharpnessConfig::None,
            SharpnessName::Sam => at_rho!(Sam, SamConfig::new()),
            SharpnessName::Asam => at_rho!(Asam, AsamConfig::new()),
            SharpnessName::Gsam => at_rho!(Gsam, GsamConfig::new()),
            SharpnessName::Esam => at_rho!(Esam, EsamConfig::new()),
            SharpnessName::Looksam => {
                let look = LookSamConfig::new().with_every(self.look_every);
                let alpha = self.look_alpha.unwrap_or(look.alpha);
                at_rho!(LookSam, look.with_alpha(alpha))
            }
            SharpnessName::S2sam => at_rho!(S2Sam, S2SamConfig::new()),
            SharpnessName::Msam => at_rho!(MomentumSam, MomentumSamConfig::new()),
            SharpnessName::Fsam => at_rho!(FriendlySam, FriendlySamConfig::new()),
            SharpnessName::Wsam => at_rho!(Wsam, WsamConfig::new()),
            SharpnessName::FisherSam => at_rho!(FisherSam, FisherSamConfig::new()),
            SharpnessName::ZoSam => at_rho!(ZoSam, self.zo_sam()),
            SharpnessName::Random => {
                at_rho!(RandomSign, RandomSignConfig::new().with_coin(false))
            }
            SharpnessName::RandomSign => at_rho!(RandomSign, RandomSignConfig::new()),
        }
    }

    fn zo_sam(&self) -> ZoSamConfig {
        let guide = |prediction| {
            Directions::Guided(Guide {
                history: self.history,
                prediction,
            })
        };
        ZoSamConfig::new()
            .with_directions(self.directions)
            .with_family(match self.direction {
                DirectionName::Isotropic => Directions::Isotropic,
                DirectionName::Orthogonal => Directions::Orthogonal,
                DirectionName::Guided => guide(true),
                DirectionName::Span => guide(false),
                DirectionName::Blocks => Directions::Blocks,
                DirectionName::Norms => {
                    Directions::Coordinates(vec!["BatchNorm".into(), "LayerNorm".into()])
                }
            })
            .with_distribution(match self.draw {
                DrawName::Gaussian => DirectionDistribution::Gaussian,
                DrawName::Rademacher => DirectionDistribution::Rademacher,
                DrawName::Sphere => DirectionDistribution::Sphere,
            })
            .with_sides(match self.sides {
                SidesName::Two => Sides::Two,
                SidesName::One => Sides::One,
            })
            .with_delta(self.delta.map_or(Delta::Relative(1.0), Delta::Absolute))
            .with_fraction(self.probe_fraction)
            .with_reuse(self.reuse)
            .with_memory(match self.memory {
                MemoryName::Both => ZeroOrderMemory::Both,
                MemoryName::Last => ZeroOrderMemory::Last,
                MemoryName::None => ZeroOrderMemory::None,
            })
    }
}

/// When to perturb, before the length of the run is known.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct When {
    every: Option<u64>,
    tail: Option<f64>,
    ramp: Option<f64>,
    frozen: bool,
}

impl When {
    /// The schedule for a run of so many steps.
    pub fn schedule(&self, total: u64, method: &Method) -> Schedule {
        let method = method.clone().boxed();
        let last_change = || (0..total).rev().find(|step| method.is_due(*step));
        let tail = self
            .tail
            .map_or(0, |tail| ((1.0 - tail) * total as f64).round() as u64);
        let frozen = match self.frozen {
            true => last_change().map_or(0, |step| step + 1),
            false => 0,
        };
        let ramp = self
            .ramp
            .map_or(0, |ramp| (ramp * total as f64).round() as u64);
        Schedule::from(tail.max(frozen))
            .every(self.every.unwrap_or(1))
            .with_ramp(ramp)
    }
}

impl FromStr for When {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut when = Self::default();
        for part in text.split(',') {
            let (name, value) = part.split_once(':').unwrap_or((part, ""));
            let share = || -> Result<f64> {
                let share: f64 = value.parse().with_context(|| format!("`{part}`"))?;
                match (0.0..=1.0).contains(&share) {
                    true => Ok(share),
                    false => bail!("`{part}`: a share is from 0 to 1"),
                }
            };
            match name {
                "always" if value.is_empty() => {}
                "frozen" if value.is_empty() => when.frozen = true,
                "tail" => when.tail = Some(share()?),
                "ramp" => when.ramp = Some(share()?),
                "every" => match value.parse().with_context(|| format!("`{part}`"))? {
                    0 => bail!("`{part}`: every step is every:1"),
                    every => when.every = Some(every),
                },
                _ => bail!("`{part}` is none of always, every:K, tail:SHARE, ramp:SHARE, frozen"),
            }
        }
        Ok(when)
    }
}
