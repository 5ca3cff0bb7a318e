//! The sparse-training methods, with their papers' defaults scaled to the run.

use zosam::sparse::{Budget, Decay, Distribution, Method, UpdateSchedule};
use zosam::{
    Dsr, GradualMagnitude, Grasp, Keep, LotteryTicket, MagnitudeStatic, Mest, RandomStatic, RigL,
    Set, Snfs, Snip, Svite, SynFlow, TopKast,
};

use super::names::{DistributionName, MethodName};
use super::sparse_args::SparseArgs;

/// What a method's defaults depend on beside its own options.
pub struct Plan {
    pub method: MethodName,
    pub sparsity: f64,
    pub epochs: u64,
    pub steps_per_epoch: u64,
    pub weight_decay: f64,
}

/// The method of a plan, with the options of sparsity.
///
/// The papers change masks every so many steps of 160 to 250 epochs. A run of another length keeps the number of
/// changes instead: 100 where the paper has about one an epoch, 32 for MEST, 20 for SViTE; RigL's are 20, but never
/// further apart than its 100 steps.
pub fn method(args: &SparseArgs, plan: &Plan) -> Method {
    let (sparsity, steps_per_epoch) = (plan.sparsity, plan.steps_per_epoch);
    let steps = plan.epochs * steps_per_epoch;
    let part = |share: u64| args.update_every.unwrap_or((steps / share).max(1));
    let per_layer = |default: Distribution| distribution(args).unwrap_or(default);
    let budget = distribution(args).map_or(Budget::Global, Budget::PerLayer);
    let schedule = |every: u64, end: u64, fraction: f64, decay: Decay| {
        let fraction = args.drop_fraction.unwrap_or(fraction);
        UpdateSchedule::every(every)
            .until(end)
            .with_fraction(fraction)
            .with_decay(decay)
    };
    match plan.method {
        MethodName::Dense => Method::Dense(Default::default()),
        MethodName::Keep => Method::Keep(Keep::new()),
        MethodName::Random => Method::Random(
            RandomStatic::new(sparsity).with_distribution(per_layer(Distribution::Erk)),
        ),
        MethodName::Magnitude => {
            Method::Magnitude(MagnitudeStatic::new(sparsity).with_budget(budget))
        }
        MethodName::Snip => Method::Snip(Snip::new(sparsity).with_budget(budget)),
        MethodName::Grasp => Method::Grasp(Grasp::new(sparsity).with_budget(budget)),
        MethodName::Synflow => Method::SynFlow(SynFlow::new(sparsity)),
        MethodName::Lth => Method::Lth(
            LotteryTicket::new(sparsity)
                .with_level_steps(steps)
                .with_rewind(args.rewind_epochs as u64 * steps_per_epoch)
                .with_rate(args.prune_rate),
        ),
        MethodName::Gmp => {
            let (begin, end, every) = (steps / 100, steps * 3 / 4, part(100));
            let gmp = GradualMagnitude::new(sparsity)
                .between(begin..=end)
                .every(every);
            Method::Gmp(gmp.with_budget(budget))
        }
        MethodName::Set => Method::Set(
            Set::new(sparsity)
                .with_distribution(per_layer(Distribution::Erk))
                .with_schedule(schedule(part(100), steps, 0.3, Decay::Constant)),
        ),
        MethodName::Dsr => Method::Dsr(
            Dsr::new(sparsity)
                .over(steps)
                .every(part(100))
                .with_distribution(per_layer(Distribution::Uniform)),
        ),
        MethodName::Rigl => {
            let every = args.update_every.unwrap_or((steps / 20).clamp(1, 100));
            Method::RigL(
                RigL::new(sparsity)
                    .over(steps)
                    .with_distribution(per_layer(Distribution::Erk))
                    .every(every)
                    .with_drop_fraction(args.drop_fraction.unwrap_or(0.3)),
            )
        }
        MethodName::Mest | MethodName::MestEms => {
            let mest = match plan.method {
                MethodName::Mest => Mest::em(sparsity).over(steps),
                _ => Mest::em_s(sparsity).over(steps),
            };
            Method::Mest(
                mest.with_distribution(per_layer(Distribution::Uniform))
                    .every(part(32)),
            )
        }
        MethodName::Svite => {
            let end = steps * 4 / 5;
            Method::Svite(
                Svite::new(sparsity)
                    .with_distribution(per_layer(Distribution::Erk))
                    .with_schedule(
                        schedule(part(20), end, 0.5, Decay::Cosine).with_last_fraction(0.005),
                    ),
            )
        }
        MethodName::Topkast => Method::TopKast(
            TopKast::new(sparsity)
                .with_distribution(per_layer(Distribution::Uniform))
                .every(args.update_every.unwrap_or((steps / 100).clamp(1, 100)))
                .with_decay(plan.weight_decay),
        ),
        MethodName::Snfs => Method::Snfs(
            Snfs::new(sparsity)
                .with_distribution(per_layer(Distribution::Uniform))
                .with_schedule(schedule(part(100), steps, 0.5, Decay::Cosine)),
        ),
    }
}

/// Steps of a run that trains a net for so many: a lottery ticket trains its net again and again.
pub fn run_steps(method: &Method, steps: u64) -> u64 {
    match method {
        Method::Lth(tickets) => tickets.total_steps(),
        _ => steps,
    }
}

fn distribution(args: &SparseArgs) -> Option<Distribution> {
    args.distribution.map(|name| match name {
        DistributionName::Uniform => Distribution::Uniform,
        DistributionName::UniformPlus => Distribution::UniformPlus,
        DistributionName::Er => Distribution::Er,
        DistributionName::Erk => Distribution::Erk,
    })
}
