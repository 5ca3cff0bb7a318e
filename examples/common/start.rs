//! What training starts from.

use std::path::Path;

use anyhow::Result;
use burn::tensor::Device;
use zosam::masks::Masks;
use zosam::model_file::start_from;

use super::Network;
use super::args::{Args, MethodName};
use super::output::percent;

/// Zeros below this share are no pruning.
const PRUNED: f64 = 0.05;

/// A network with the weights of a file, and the masks to begin with; none if the method chooses its own.
pub struct Start<M> {
    pub model: M,
    pub masks: Masks,
}

/// Reads the file that `--finetune` names, says what becomes of it, and settles method and sparsity where the options leave them open.
pub fn read<N: Network>(
    path: &Path,
    config: &N,
    classes: &[String],
    args: &mut Args,
    device: &Device,
) -> Result<Start<N::Model>> {
    device.seed(args.run.seed);
    let start = start_from(path, config, classes, device)?;
    let shown = path.display();
    if let Some(others) = start.other_classes {
        let own = classes.len();
        eprintln!(
            "{shown} is for {others} classes, which are others: the classifier starts afresh for {own}"
        );
    }
    if start.resampled {
        eprintln!("{shown} is for images of another size: its position embedding is resampled");
    }
    let masks = match start.masks.is_dense() {
        true => of_zeros(&start.model, args),
        false => start.masks,
    };
    let masks = settled(masks, args);
    eprintln!("fine-tuning {shown}: optimizer and schedules start afresh");
    Ok(Start {
        model: start.model,
        masks,
    })
}

/// A file without masks: its zeros, if they are to be kept; else a hint, if there are many.
fn of_zeros<M: burn::module::Module>(model: &M, args: &Args) -> Masks {
    let zeros = Masks::from_nonzeros(model);
    if args.sparse.method == Some(MethodName::Keep) {
        return zeros;
    }
    let sparsity = sparsity(&zeros);
    if !zeros.is_dense() && sparsity >= PRUNED {
        let share = percent(sparsity);
        eprintln!(
            "warning: {share} of the weights are zero in the file and will not stay so: --method keep keeps them"
        );
    }
    Masks::dense()
}

/// Settles method and sparsity by a file's masks, and returns the masks to begin with.
fn settled(masks: Masks, args: &mut Args) -> Masks {
    if masks.is_dense() {
        return masks;
    }
    let (live, of) = (masks.live_weights(), masks.prunable_weights());
    if args.sparse.method.is_none() {
        args.settle("method", "keep");
        args.sparse.method = Some(MethodName::Keep);
    }
    match args.method() {
        MethodName::Keep => {
            eprintln!("the {live} live weights of {of} stay those of the file (--method keep)");
            masks
        }
        MethodName::Dense
        | MethodName::Random
        | MethodName::Magnitude
        | MethodName::Snip
        | MethodName::Grasp
        | MethodName::Synflow => {
            let method = args.method().name();
            eprintln!(
                "warning: --method {method} does not use the file's masks ({live} of {of} weights live): --method keep does"
            );
            Masks::dense()
        }
        exchanging => {
            if args.sparse.sparsity.is_none() {
                let sparsity = sparsity(&masks);
                args.settle("sparsity", &sparsity.to_string());
                args.sparse.sparsity = Some(sparsity);
            }
            let method = exchanging.name();
            eprintln!("{method} begins with the {live} live weights of {of} of the file");
            masks
        }
    }
}

fn sparsity(masks: &Masks) -> f64 {
    1.0 - masks.live_weights() as f64 / masks.prunable_weights().max(1) as f64
}
