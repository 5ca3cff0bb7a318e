//! What the clones of a model share, and how it travels in a record.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, Param, ParamId};
use burn::optim::ModuleOptimizer;
use burn::tensor::{Bytes, DType, Device, Int, Shape, Tensor, TensorData};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Serialize};

use super::pending::Pending;
use crate::error::{Chain, Error, Result};
use crate::optim::{Course, Found};
use crate::perturb::{Memory, Perturbation};
use crate::sparse::{GradientMemory, Sparsity, SparsityParts, Work};
use crate::tree::{self, ParamVector};

/// Masks, step and perturbation, shared by the clones of a model.
#[derive(Debug)]
pub(super) struct Shared<P>(Arc<Inner<P>>);

impl<P> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<P> {
    sparsity: RwLock<Sparsity>,
    progress: Mutex<Progress<P>>,
    /// The record's parameter.
    id: ParamId,
    device: Device,
    /// Size of the parameter: records only load into parameters of one size, the state's own
    /// varies.
    words: usize,
}

#[derive(Debug)]
struct Progress<P> {
    course: Course<P>,
    /// Whether the step has begun.
    begun: bool,
    /// Micro-batches of this step by worker.
    batches: BTreeMap<u64, u64>,
    /// What was measured in this step beside the gradients that burn carries.
    pending: Pending,
    /// A loaded state that waits for the model to be whole.
    loaded: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    steps: u64,
    method: serde_json::Value,
    work: Work,
    masks: usize,
    history: usize,
    memory: usize,
}

impl<P: Perturbation> Shared<P> {
    pub fn new<M: Module>(model: &M, sparsity: Sparsity, perturbation: P, seed: u64) -> Self {
        let device = tree::device(model).unwrap_or_default().without_autodiff();
        let words = capacity(model, &sparsity, perturbation.vectors()).div_ceil(4);
        let course = Course {
            seed,
            ..Course::new(perturbation)
        };
        Self(Arc::new(Inner {
            sparsity: RwLock::new(sparsity),
            progress: Mutex::new(Progress {
                course,
                begun: false,
                batches: BTreeMap::new(),
                pending: Pending::default(),
                loaded: None,
            }),
            id: ParamId::new(),
            device,
            words,
        }))
    }

    fn progress(&self) -> MutexGuard<'_, Progress<P>> {
        let progress = self.0.progress.lock();
        progress.unwrap_or_else(PoisonError::into_inner)
    }

    fn sparsity(&self) -> RwLockWriteGuard<'_, Sparsity> {
        let sparsity = self.0.sparsity.write();
        sparsity.unwrap_or_else(PoisonError::into_inner)
    }

    pub fn steps(&self) -> u64 {
        self.progress().course.step
    }

    /// The method with its masks, after a loaded state was taken over.
    pub fn settled<M: Module>(&self, model: &M) -> RwLockReadGuard<'_, Sparsity> {
        self.settle(&mut self.progress(), model);
        let sparsity = self.0.sparsity.read();
        sparsity.unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a loaded state. Whoever locks both, locks the progress first.
    fn settle<M: Module>(&self, progress: &mut Progress<P>, model: &M) {
        if let Some(bytes) = progress.loaded.take() {
            let taken = self.take_over(progress, model, &bytes);
            taken.unwrap_or_else(|error| panic!("the learner's checkpoint: {}", Chain(&error)));
        }
    }

    /// Begins the step with its first micro-batch, and returns what a thread measures with.
    pub fn begin<M: Module>(&self, model: &M) -> Course<P> {
        let mut progress = self.progress();
        self.settle(&mut progress, model);
        if !progress.begun {
            let begun = progress.course.begin(model, &mut self.sparsity());
            begun
                .unwrap_or_else(|error| panic!("step {}: {}", progress.course.step, Chain(&error)));
            progress.begun = true;
        }
        progress.course.clone()
    }

    /// The number of a worker's next micro-batch, different from those of other workers.
    pub fn next_batch(&self, worker: u64) -> u64 {
        let mut progress = self.progress();
        let count = progress.batches.entry(worker).or_default();
        *count += 1;
        // No step has 2^32 micro-batches.
        (worker << 32) + *count - 1
    }

    /// Keeps what a micro-batch says beside the gradient that burn carries to the end of the step.
    pub fn keep<M>(&self, worker: u64, found: Found<M>) {
        self.progress().pending.add(worker, found);
    }

    /// Ends a step with the sum of its gradients: the masks may change, and the next step begins.
    pub fn finish<M: Module>(
        &self,
        model: M,
        gradient: ParamVector,
        base: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
    ) -> M {
        let mut progress = self.progress();
        self.settle(&mut progress, &model);
        let mut sparsity = self.sparsity();
        progress.batches.clear();
        progress.begun = false;
        let ascended = progress.course.ascends(&sparsity);
        let pending = std::mem::take(&mut progress.pending);
        let found = pending.found(model, gradient, ascended);
        let step = progress.course.step;
        let finished = progress
            .course
            .finish(base, lr, found.reduced(&sparsity), &mut sparsity);
        finished
            .unwrap_or_else(|error| panic!("step {step}: {}", Chain(&error)))
            .0
    }

    /// The state as a parameter of a record, encoded only if somebody reads it.
    pub fn param(&self) -> Param<Tensor<1, Int>>
    where
        P: 'static,
    {
        let shared = self.clone();
        let init = move |device: &Device, _| {
            let bytes = shared.encoded();
            let words = bytes.chunks_exact(4);
            let words: Vec<i32> = words
                .map(|word| i32::from_le_bytes(word.try_into().expect("four bytes")))
                .collect();
            let count = [words.len()];
            Tensor::from_data(TensorData::new(words, count), (device, DType::I32))
        };
        let (id, device) = (self.0.id, self.0.device.clone());
        Param::uninitialized(id, init, device, false, Shape::new([self.0.words]))
    }

    /// Keeps what a record held until the model is whole.
    pub fn load(&self, tensor: &Tensor<1, Int>) {
        let words = tensor.to_data();
        let bytes = words.iter::<i32>().flat_map(i32::to_le_bytes).collect();
        self.progress().loaded = Some(bytes);
    }

    fn encoded(&self) -> Vec<u8> {
        // A state that was loaded and not used yet is passed on as it is.
        if let Some(bytes) = &self.progress().loaded {
            return bytes.clone();
        }
        let steps = self.steps();
        let memory = self.progress().course.memory.to_bytes();
        let memory = memory.expect("a memory can be written");
        let sparsity = self.0.sparsity.read();
        let sparsity = sparsity.unwrap_or_else(PoisonError::into_inner);
        let parts = sparsity.to_parts().expect("a state can be written");
        let saved = Saved {
            steps,
            method: parts.method,
            work: parts.work,
            masks: parts.masks.len(),
            history: parts.history.len(),
            memory: memory.len(),
        };
        let saved = serde_json::to_vec(&saved).expect("a state is JSON");
        let mut encoder = DeflateEncoder::new(vec![0; 8], Compression::fast());
        let whole = [
            &(saved.len() as u64).to_le_bytes()[..],
            &saved,
            &parts.masks,
            &parts.history,
            &memory,
        ];
        for part in whole {
            encoder.write_all(part).expect("memory can be written");
        }
        let mut bytes = encoder.finish().expect("memory can be written");
        let length = (bytes.len() - 8) as u64;
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        let room = 4 * self.0.words;
        assert!(
            bytes.len() <= room,
            "{} bytes of state in {room}",
            bytes.len()
        );
        bytes.resize(room, 0);
        bytes
    }

    fn take_over<M: Module>(
        &self,
        progress: &mut Progress<P>,
        model: &M,
        bytes: &[u8],
    ) -> Result<()> {
        let (saved, [masks, history, memory]) =
            decoded(bytes).ok_or_else(|| Error::mismatch("the state of masks", "it is damaged"))?;
        let parts = SparsityParts {
            masks: Bytes::from_bytes_vec(masks),
            history: Bytes::from_bytes_vec(history),
            method: saved.method,
            work: saved.work,
        };
        let mut sparsity = self.sparsity();
        sparsity.load_parts(model, parts)?;
        let memory = Memory::from_bytes(Bytes::from_bytes_vec(memory), model, sparsity.masks())?;
        progress.course.step = saved.steps;
        progress.course.memory = memory;
        Ok(())
    }
}

/// What was saved, and the bytes of masks, history and memory.
fn decoded(bytes: &[u8]) -> Option<(Saved, [Vec<u8>; 3])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let mut whole = Vec::new();
    DeflateDecoder::new(rest.get(..length)?)
        .read_to_end(&mut whole)
        .ok()?;
    let (length, rest) = whole.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (saved, rest) = rest.split_at_checked(length)?;
    let saved: Saved = serde_json::from_slice(saved).ok()?;
    let (masks, history) = rest.split_at_checked(saved.masks)?;
    let (history, memory) = history.split_at_checked(saved.history)?;
    let fits = memory.len() == saved.memory;
    fits.then(|| (saved, [masks, history, memory].map(<[u8]>::to_vec)))
}

/// Bytes that the state never exceeds: four sets of a byte per position deflate to less than a bit
/// each and a byte together, numbers to no more than themselves.
fn capacity<M: Module>(model: &M, sparsity: &Sparsity, vectors: usize) -> usize {
    let (weights, plan) = (sparsity.masks().prunable_weights(), sparsity.plan());
    let layers = sparsity.masks().leaves().count();
    let remembered = match plan.memory {
        GradientMemory::Batch => 0,
        _ => 5 * weights,
    };
    let latent = if sparsity.has_latent_values() {
        6 * weights
    } else {
        0
    };
    let rewound = match plan.rewind_step {
        Some(_) => {
            let tensors = tree::float_leaves(model);
            5 * tensors.iter().map(tree::Leaf::len).sum::<usize>() + 512 * tensors.len()
        }
        None => 0,
    };
    let leaves = tree::leaves(model);
    // Masks may come to life anywhere, so a vector may grow to all weights of a layer.
    let vector = 5 * leaves.iter().map(tree::Leaf::len).sum::<usize>() + 512 * leaves.len();
    (1 << 15) + 1024 * layers + weights + remembered + latent + rewound + vectors * vector
}
