//! DeiT against timm.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;
use zosam::checkpoint::fingerprint;
use zosam::model_file::load_model;
use zosam::models::{Deit, DeitConfig};
use zosam::objective::Objective;
use zosam::sparse::{Classification, Evidence};
use zosam::{RandomStatic, Sparsity, tree};

use crate::reference::{
    Tensors, assert_all_close, assert_close, numbers, read, to_burn, torch_name, torch_tensors,
};

#[derive(Deserialize)]
struct Published {
    parameters: usize,
    logits: Vec<f32>,
}

#[derive(Deserialize)]
struct Reduced {
    labels: Vec<i64>,
    logits: Vec<f32>,
    loss: f32,
    gradients: Tensors,
}

#[derive(Deserialize)]
struct Distilled {
    logits: Vec<f32>,
    head: Vec<f32>,
    head_dist: Vec<f32>,
}

#[derive(Deserialize)]
struct Golden {
    tiny: Published,
    small: Published,
    reduced: Reduced,
    distilled: Distilled,
    resized: Vec<f32>,
    counts: BTreeMap<String, usize>,
}

/// Absolute, on logits of order 1 after twelve blocks; the two implementations sum in different orders.
const TOLERANCE: f32 = 1e-4;

fn scale_of(name: &str, shape: &[usize]) -> f64 {
    let is_matrix = shape.len() > 1 && !name.contains("token") && name != "pos_embed";
    // timm counts the patch embedding's weight, whose name begins with an embedding's, among the small ones.
    if !is_matrix || name.starts_with("patch_embed") {
        return 0.3;
    }
    (3.0 / shape[0] as f64).sqrt()
}

/// The network with the weights of `make_deit.py`.
fn filled(config: &DeitConfig, device: &Device) -> Deit {
    let model = config.init(device).unwrap();
    let leaves = tree::leaves(&model);
    tree::replace(model, |id, old| {
        let leaf = leaves.iter().find(|leaf| leaf.id == id).unwrap();
        let name = torch_name(&leaf.path);
        let mut values = numbers(&name, leaf.len(), scale_of(&name, &leaf.shape));
        if name.contains("norm") && name.ends_with("weight") {
            values.iter_mut().for_each(|value| *value += 1.0);
        }
        let values = to_burn(&leaf.shape, &values);
        Some(Tensor::from_data(
            TensorData::new(values, [leaf.len()]),
            &old.device(),
        ))
    })
}

fn images(batch: usize, size: usize, device: &Device) -> Tensor<4> {
    let shape = [batch, 3, size, size];
    let values = numbers("images", shape.iter().product(), 2.0);
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn flat<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

fn reduced() -> DeitConfig {
    let config = DeitConfig::tiny(10).with_image([16, 16]).with_patch(4);
    config.with_width(24, 3).with_depth(2).with_drop_path(0.0)
}

/// The published networks, whole: parameters and the logits of one image.
#[test]
fn tiny_and_small_match_timm() {
    let golden: Golden = read("deit");
    let device = Device::flex().autodiff();
    let no_loss = |_: &Deit| -> Tensor<1> { unreachable!("random masks need no loss") };
    for (config, golden, maskable) in [
        (DeitConfig::tiny(1000), golden.tiny, 5_647_872),
        (DeitConfig::small(1000), golden.small, 21_912_576),
    ] {
        let model = filled(&config, &device);
        assert_eq!(model.num_params(), golden.parameters);
        // SViTE's weights: all matrices of layers.
        let mut sparsity = Sparsity::new(RandomStatic::new(0.5));
        sparsity.attach(model.clone(), no_loss).unwrap();
        assert_eq!(sparsity.masks().prunable_weights(), maskable);
        let logits = model.valid().forward(images(1, 224, &Device::flex()));
        assert_close("logits", &flat(&logits), &golden.logits, TOLERANCE);
    }
    let count = |config: DeitConfig| config.init(&device).unwrap().num_params();
    assert_eq!(
        count(DeitConfig::base(1000)),
        golden.counts["deit_base_patch16_224"]
    );
    let distilled = count(DeitConfig::tiny(1000).distilled());
    assert_eq!(distilled, golden.counts["deit_tiny_distilled_patch16_224"]);
}

#[test]
fn loss_and_gradients_match_timm() {
    let golden = read::<Golden>("deit").reduced;
    let device = Device::flex().autodiff();
    let model = filled(&reduced(), &device);
    let labels = TensorData::new(golden.labels.clone(), [4]);
    let labels = Tensor::<1, Int>::from_data(labels, &device);
    let loss = |model: &Deit| model.loss(images(4, 16, &device), labels.clone());
    let pass = Objective::new(&model, loss, 0).gradient(None);
    // Two blocks of width 24: rounding stays an order of magnitude below that of the whole networks.
    assert_close("logits", &flat(&pass.extra), &golden.logits, 1e-5);
    assert_close("loss", &flat(&pass.loss), &[golden.loss], 1e-5);
    let gradients = torch_tensors(&model, &pass.vector);
    assert_all_close("gradient", &gradients, &golden.gradients, 1e-5);
}

/// A checkpoint that timm's users save with `safetensors.torch.save_file`.
#[test]
fn timm_checkpoints_load() {
    let golden = read::<Golden>("deit").reduced;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/deit.safetensors");
    let model = reduced().init(&Device::flex()).unwrap();
    let (model, masks) = load_model(path, model).unwrap();
    assert!(masks.is_dense());
    let logits = model.forward(images(4, 16, &Device::flex()));
    assert_close("logits", &flat(&logits), &golden.logits, 1e-5);
    let wide = reduced().with_width(48, 3).init(&Device::flex()).unwrap();
    let error = load_model(path, wide).unwrap_err().to_string();
    assert!(
        error.contains(
            "`patch_embed.proj.weight` has shape [24, 3, 4, 4], the model's has [48, 3, 4, 4]"
        ),
        "{error}"
    );
}

/// A checkpoint of a run, as DeiT's authors save it: the weights under `model`, beside the optimizer and the arguments.
#[cfg(feature = "pytorch")]
#[test]
fn the_authors_checkpoints_load() {
    let path = |name| format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let load = |name| {
        let model = reduced().init(&Device::flex()).unwrap();
        load_model(path(name), model).unwrap().0
    };
    let prints = ["deit.pth", "deit.safetensors"].map(|name| fingerprint(&load(name)));
    assert_eq!(prints[0], prints[1]);
}

#[test]
fn distillation_matches_timm() {
    let golden = read::<Golden>("deit").distilled;
    let model = filled(&reduced().distilled(), &Device::flex().autodiff()).valid();
    let images = images(4, 16, &Device::flex());
    let (head, distilled) = model.forward_heads(images.clone());
    assert_close("head", &flat(&head), &golden.head, 1e-5);
    assert_close(
        "head_dist",
        &flat(&distilled.unwrap()),
        &golden.head_dist,
        1e-5,
    );
    assert_close(
        "logits",
        &flat(&model.forward(images)),
        &golden.logits,
        1e-5,
    );
}

#[test]
fn another_resolution_matches_pytorch() {
    let golden: Golden = read("deit");
    let device = Device::flex().autodiff();
    let model = filled(&reduced(), &device);
    let id = tree::leaves(&model)
        .iter()
        .find(|l| l.path == "pos_embed")
        .unwrap()
        .id;
    let model = model.resized([24, 20]).unwrap();
    let leaf = tree::leaves(&model)
        .into_iter()
        .find(|l| l.path == "pos_embed")
        .unwrap();
    assert_eq!(
        (leaf.id, leaf.shape),
        (id, vec![1, 31, 24]),
        "still trainable"
    );
    let embedding = tree::values(&model).get(id).unwrap();
    assert_close("pos_embed", &flat(&embedding), &golden.resized, 1e-6);
    let larger = Tensor::zeros([1, 3, 24, 20], &device);
    assert_eq!(model.forward(larger).dims(), [1, 10]);
    let error = model.resized([24, 21]).unwrap_err();
    assert!(error.to_string().starts_with("image = [24, 21]"), "{error}");
}

/// The smooth net has both: exact tangents, and differences that prove themselves.
#[test]
fn tangents_match_differences() {
    let device = Device::flex().autodiff();
    for config in [reduced(), reduced().distilled()] {
        let model = filled(&config, &device);
        let labels = Tensor::<1, Int>::from_ints([3, 1, 4, 1], &device);
        let batches = || [(images(4, 16, &device), labels.clone())];
        let exact =
            Classification::new(batches(), Deit::forward).with_tangent(Deit::forward_tangent);
        let differences = Classification::new(batches(), Deit::forward);
        let gradient = exact.gradient(&model, 1.0, 0).unwrap();
        let a = exact.hessian_product(&model, &gradient, 1.0, 0).unwrap();
        let b = differences
            .hessian_product(&model, &gradient, 1.0, 0)
            .unwrap();
        let apart = a.clone().add_scaled(&b, -1.0).norm() / b.norm();
        // f32 against f64.
        assert!(apart < 1e-4, "{apart}");
    }
}
