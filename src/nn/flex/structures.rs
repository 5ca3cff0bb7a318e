//! The compressed forms of a mask, built when a layer first asks and dropped with the mask.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::module::ParamId;

use crate::error::Result;
use crate::kernels::{ConvShape, ConvStructure, LinearStructure};
use crate::masks::Masks;

/// One weight's live positions as the kernels want them.
#[derive(Debug, Default)]
struct Structures {
    /// One per input size that was seen.
    convs: Mutex<Vec<Remembered>>,
    /// The same as if every weight were live, for gradients of dead ones.
    whole: Mutex<Vec<Remembered>>,
    linear: OnceLock<Option<Arc<LinearStructure>>>,
}

type Remembered = (ConvShape, Option<Arc<ConvStructure>>);

/// Input sizes that are remembered: more come only from images of ever-changing sizes.
const SIZES: usize = 8;

/// The structure of a convolution's weight; `None` without a mask, or if the kernels do not take it.
pub fn conv(masks: &Masks, id: ParamId, shape: ConvShape) -> Option<Arc<ConvStructure>> {
    let (structures, live) = masks.beside::<Structures>(id)?;
    remembered(&structures.convs, shape, || {
        ConvStructure::new(shape, &live)
    })
}

/// The structure of a convolution's weight as if all of it were live; `None` as above.
pub fn whole_conv(masks: &Masks, id: ParamId, shape: ConvShape) -> Option<Arc<ConvStructure>> {
    let (structures, _) = masks.beside::<Structures>(id)?;
    remembered(&structures.whole, shape, || {
        ConvStructure::new(shape, &vec![true; shape.weights()])
    })
}

/// The structure of a linear layer's weight `[inputs, outputs]`; `None` as above.
pub fn linear(masks: &Masks, id: ParamId, sizes: [usize; 2]) -> Option<Arc<LinearStructure>> {
    let (structures, live) = masks.beside::<Structures>(id)?;
    let [inputs, outputs] = sizes;
    let build = || LinearStructure::transposed(inputs, outputs, &live).ok();
    structures
        .linear
        .get_or_init(|| build().map(Arc::new))
        .clone()
}

fn remembered(
    convs: &Mutex<Vec<Remembered>>,
    shape: ConvShape,
    build: impl FnOnce() -> Result<ConvStructure>,
) -> Option<Arc<ConvStructure>> {
    let mut convs = convs.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, structure)) = convs.iter().find(|(known, _)| *known == shape) {
        return structure.clone();
    }
    let structure = build().ok().map(Arc::new);
    if convs.len() == SIZES {
        convs.remove(0);
    }
    convs.push((shape, structure.clone()));
    structure
}
