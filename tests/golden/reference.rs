//! Reading the files of `make.py` and `make_models.py`, and carrying tensors between PyTorch's layout and burn's.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zosam::models::{ResNet, ResNetConfig, ResNetVariant};
use zosam::tree;

/// Images are `PIXELS` high and wide, `BATCH` of them.
pub const BATCH: usize = 8;
pub const PIXELS: usize = 16;

/// Absolute. Everything compared is of order 1, gradients up to 0.4; the two implementations sum in
/// different orders, and on the machine where this was written that makes 2e-6 on logits, 1e-6 on
/// gradients and 3e-7 on weights and statistics.
pub const TOLERANCE: f32 = 1e-5;

/// Flat tensors in PyTorch's layout, by PyTorch's names.
pub type Tensors = BTreeMap<String, Vec<f32>>;

#[derive(Deserialize)]
pub struct Batch {
    images: Vec<f32>,
    labels: Vec<i64>,
}

impl Batch {
    pub fn images(&self, device: &Device) -> Tensor<4> {
        let shape = [BATCH, 3, PIXELS, PIXELS];
        Tensor::from_data(TensorData::new(self.images.clone(), shape), device)
    }

    pub fn labels(&self, device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(self.labels.clone(), [BATCH]), device)
    }
}

pub fn read<T: DeserializeOwned>(name: &str) -> T {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn crc32(text: &str) -> u32 {
    let byte = |crc: u32, byte: u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    };
    !text.bytes().fold(!0, byte)
}

/// `numbers` of `make_deit.py`: uniform in ±`scale`, the same on both sides.
pub fn numbers(name: &str, count: usize, scale: f64) -> Vec<f32> {
    let number = |position: u32| {
        let mut h = position.wrapping_add(crc32(name));
        for (shift, factor) in [(16, 0x85eb_ca6b), (13, 0xc2b2_ae35), (16, 1)] {
            h ^= h >> shift;
            h = h.wrapping_mul(factor);
        }
        ((f64::from(h) / f64::from(1u32 << 31) - 1.0) * scale) as f32
    };
    (0..count as u32).map(number).collect()
}

/// The network of `make.py`, with the weights and running statistics of a state.
pub fn network(variant: ResNetVariant, state: &Tensors, device: &Device) -> ResNet {
    let config = ResNetConfig::resnet32(10).with_depth(8).with_width(4);
    with_state(config.with_variant(variant).init(device).unwrap(), state)
}

/// The model with the weights and running statistics of a state.
pub fn with_state<M: Module>(model: M, state: &Tensors) -> M {
    let leaves = tree::leaves(&model);
    let model = tree::replace(model, |id, old| {
        let leaf = leaves.iter().find(|leaf| leaf.id == id).unwrap();
        let values = to_burn(&leaf.shape, &state[&torch_name(&leaf.path)]);
        Some(Tensor::from_data(
            TensorData::new(values, [leaf.len()]),
            &old.device(),
        ))
    });
    let model = model.map(&mut RunningStatistics {
        path: Vec::new(),
        state,
    });
    assert_eq!(
        state_of(&model),
        *state,
        "the state covers the network exactly"
    );
    model
}

/// Weights and running statistics of a model, as PyTorch would list them.
pub fn state_of<M: Module>(model: &M) -> Tensors {
    let tensors = tree::named_tensors(model).into_iter();
    tensors
        .map(|(path, data)| {
            let values: Vec<f32> = data.iter::<f32>().collect();
            let shape: Vec<usize> = data.shape().iter().copied().collect();
            (torch_name(&path), to_torch(&shape, &values))
        })
        .collect()
}

/// A vector in parameter space, as PyTorch would list it.
pub fn torch_tensors<M: Module>(model: &M, vector: &tree::ParamVector) -> Tensors {
    let leaves = tree::leaves(model).into_iter();
    leaves
        .map(|leaf| {
            let data = vector.get(leaf.id).unwrap().to_data();
            let values: Vec<f32> = data.iter::<f32>().collect();
            let name = torch_name(&leaf.path);
            (name, to_torch(&leaf.shape, &values))
        })
        .collect()
}

/// burn stores the variance of the batch itself (divided by n) in `running_var`, PyTorch the unbiased
/// one (divided by n − 1), although both normalise with the former. Running averages are linear in it:
/// what `passes` training passes with momentum 0.1 added to the initial value differs by n/(n − 1).
pub fn unbiased_running_variance(model: &ResNet, initial: &Tensors, passes: i32) -> Tensors {
    let left = 0.9f32.powi(passes);
    let mut state = state_of(model);
    for (name, values) in &mut state {
        if !name.ends_with("running_var") {
            continue;
        }
        let side = match name.split('.').next() {
            Some("layer2") => PIXELS / 2,
            Some("layer3") => PIXELS / 4,
            _ => PIXELS,
        };
        let n = (BATCH * side * side) as f32;
        for (value, initial) in values.iter_mut().zip(&initial[name]) {
            *value = left * initial + (*value - left * initial) * n / (n - 1.0);
        }
    }
    state
}

/// Compares tensors by absolute difference.
pub fn assert_all_close(what: &str, actual: &Tensors, expected: &Tensors, tolerance: f32) {
    assert!(
        actual.keys().eq(expected.keys()),
        "{what}: the tensors' names differ"
    );
    for (name, expected) in expected {
        assert_close(
            &format!("{what} of {name}"),
            &actual[name],
            expected,
            tolerance,
        );
    }
}

/// Compares numbers by absolute difference.
pub fn assert_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len(), "{what}: the sizes differ");
    for (position, (a, b)) in actual.iter().zip(expected).enumerate() {
        // Written so that NaN fails.
        let is_close = (a - b).abs() <= tolerance;
        assert!(is_close, "{what} at {position}: {a} instead of {b}");
    }
}

/// The largest absolute difference over all tensors.
pub fn distance(actual: &Tensors, expected: &Tensors) -> f32 {
    let pairs = expected
        .iter()
        .flat_map(|(name, expected)| actual[name].iter().zip(expected));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

pub fn torch_name(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((layer, "gamma")) => format!("{layer}.weight"),
        Some((layer, "beta")) => format!("{layer}.bias"),
        _ => path.to_string(),
    }
}

/// A linear weight, the only matrix, is `[out, in]` in PyTorch and `[in, out]` in burn; all else is laid out alike.
pub fn to_burn<T: Copy>(burn_shape: &[usize], torch: &[T]) -> Vec<T> {
    match burn_shape {
        [input, output] => transposed(torch, *output, *input),
        _ => torch.to_vec(),
    }
}

fn to_torch<T: Copy>(burn_shape: &[usize], burn: &[T]) -> Vec<T> {
    match burn_shape {
        [input, output] => transposed(burn, *input, *output),
        _ => burn.to_vec(),
    }
}

fn transposed<T: Copy>(matrix: &[T], rows: usize, columns: usize) -> Vec<T> {
    assert_eq!(matrix.len(), rows * columns);
    let positions = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
    positions
        .map(|(row, column)| matrix[row * columns + column])
        .collect()
}

/// Sets running statistics, which `tree::replace` leaves alone because they are not trainable.
struct RunningStatistics<'a> {
    path: Vec<String>,
    state: &'a Tensors,
}

impl ModuleMapper for RunningStatistics<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.is_require_grad() {
            return param;
        }
        let (id, old, mapper) = param.consume();
        let values = self.state[&self.path.join(".")].clone();
        let new = Tensor::from_data(TensorData::new(values, old.shape()), &old.device());
        Param::from_mapped_value(id, new, mapper)
    }
}
