//! How many weights the networks have and how many each layer keeps.

use burn::module::ParamGroup;
use burn::tensor::{Device, Tensor};
use zosam::compile::Uses;
use zosam::models::{ResNet, ResNetConfig, ResNetVariant};
use zosam::sparse::{
    Budget, Distribution, LayerReport, Magnitude, SparsityReport, Weight, one_shot,
};
use zosam::tree::{self, Leaf};
use zosam::{RandomStatic, Sparsity};

fn wide(classes: usize) -> ResNet {
    let device = Device::flex().autodiff();
    ResNetConfig::resnet32_wide(classes).init(&device).unwrap()
}

/// The report on random masks, whose live counts are those of the distribution.
fn report(model: ResNet, mut sparsity: Sparsity) -> SparsityReport {
    let no_loss = |_: &ResNet| -> Tensor<1> { unreachable!("random masks need no gradient") };
    let model = sparsity.attach(model, no_loss).unwrap();
    let report = sparsity.report(&model);
    let uses = uses(&model);
    report.with_uses(|path| uses.of_path(path))
}

fn uses(model: &ResNet) -> Uses {
    let images = Tensor::<4>::zeros([1, 3, 32, 32], &Device::flex());
    Uses::of(model, images, |model, images| model.forward(images)).unwrap()
}

fn random(sparsity: f64) -> Sparsity {
    Sparsity::new(RandomStatic::new(sparsity))
}

/// Parameters with 10 and with 100 classes, and multiply-adds of an image with 10. In the literature:
/// 0.46 M and 69 M; the same with convolution shortcuts; 1.86 M and 276 M.
#[test]
fn networks_have_the_published_size_and_cost() {
    let device = Device::flex().autodiff();
    for (config, variant, parameters, multiply_adds) in [
        (
            ResNetConfig::resnet32 as fn(usize) -> ResNetConfig,
            ResNetVariant::He,
            [464_154, 470_004],
            68_862_592,
        ),
        (
            ResNetConfig::resnet32,
            ResNetVariant::Grasp,
            [466_906, 472_756],
            69_124_736,
        ),
        (
            ResNetConfig::resnet32_wide,
            ResNetVariant::Grasp,
            [1_860_522, 1_872_132],
            275_612_928,
        ),
    ] {
        let network = |classes| config(classes).with_variant(variant).init(&device).unwrap();
        let [ten, hundred] = [network(10), network(100)];
        let size = |model| -> usize { tree::leaves(model).iter().map(Leaf::len).sum() };
        assert_eq!([size(&ten), size(&hundred)], parameters);
        let weights = tree::leaves(&ten).into_iter();
        let weights = weights.filter(|leaf| leaf.shape.len() > 1);
        let uses = uses(&ten);
        let cost = weights.map(|leaf| leaf.len() as u64 * uses.of_path(&leaf.path).unwrap());
        assert_eq!(cost.sum::<u64>(), multiply_adds);
    }
}

/// Shapes in PyTorch's layout, number of layers of the shape, and density at 0.90, 0.95 and 0.98.
const ERK: [(&[usize], usize, [f64; 3]); 9] = [
    (&[32, 3, 3, 3], 1, [1.0, 0.886794, 0.349989]),
    (&[32, 32, 3, 3], 10, [0.289551, 0.141941, 0.056020]),
    (&[64, 32, 3, 3], 1, [0.210959, 0.103414, 0.040814]),
    (&[64, 64, 3, 3], 9, [0.138571, 0.067929, 0.026809]),
    (&[64, 32, 1, 1], 1, [1.0, 0.894229, 0.352923]),
    (&[128, 64, 3, 3], 1, [0.102377, 0.050186, 0.019807]),
    (&[128, 128, 3, 3], 9, [0.067734, 0.033204, 0.013105]),
    (&[128, 64, 1, 1], 1, [0.902779, 0.442552, 0.174661]),
    (&[128, 10], 1, [1.0, 1.0, 0.795157]),
];

/// Live weights if each layer is rounded on its own, as the authors do.
fn rounded_by_layer(report: &SparsityReport) -> usize {
    let live = |layer: &LayerReport| {
        let dead = (1.0 - layer.target_density.unwrap()) * layer.total as f64;
        layer.total - dead.floor() as usize
    };
    report.layers.iter().map(live).sum()
}

/// Live weights that add up to the budget.
fn exact(report: &SparsityReport, sparsity: f64) -> usize {
    ((1.0 - sparsity) * report.prunable_weights as f64).round() as usize
}

#[test]
fn erk_densities_of_the_wide_resnet() {
    let totals = [
        (0.90, 185_589, 0.1749),
        (0.95, 92_821, 0.0878),
        (0.98, 37_157, 0.0347),
    ];
    for (column, (sparsity, live, multiply_adds)) in totals.into_iter().enumerate() {
        let report = report(wide(10), random(sparsity));
        for (shape, layers, densities) in ERK {
            let same_shape = report.layers.iter().filter(|layer| layer.shape == shape);
            let same_shape: Vec<_> = same_shape.collect();
            assert_eq!(same_shape.len(), layers, "{shape:?}");
            for layer in same_shape {
                let density = layer.target_density.unwrap();
                let difference = (density - densities[column]).abs();
                // Six digits are given.
                assert!(difference < 6e-7, "{shape:?} at {sparsity}: {density}");
            }
        }
        assert_eq!(rounded_by_layer(&report), live);
        assert_eq!(report.live_weights, exact(&report, sparsity));
        assert_eq!(report.prunable_weights, 1_855_584);
        // The share of a layer over its count is proportional to its uses; densities take the counts' place.
        let (mut sparse, mut dense) = (0.0, 0.0);
        for layer in &report.layers {
            let cost = layer.total as f64 * layer.flops_share.unwrap() / layer.live as f64;
            sparse += layer.target_density.unwrap() * cost;
            dense += cost;
        }
        let ratio = sparse / dense;
        // Four digits are given.
        assert!((ratio - multiply_adds).abs() < 5e-5, "{sparsity}: {ratio}");
    }
}

#[test]
fn erk_zeros_of_the_wide_resnet() {
    let zeros: [(&[usize], usize); 9] = [
        (&[32, 3, 3, 3], 0),
        (&[32, 32, 3, 3], 6_547),
        (&[64, 32, 3, 3], 14_543),
        (&[64, 64, 3, 3], 31_755),
        (&[64, 32, 1, 1], 0),
        (&[128, 64, 3, 3], 66_179),
        (&[128, 128, 3, 3], 137_468),
        (&[128, 64, 1, 1], 796),
        (&[128, 10], 0),
    ];
    for layer in report(wide(10), random(0.9)).layers {
        let (_, zeros) = zeros
            .iter()
            .find(|(shape, _)| *shape == layer.shape)
            .unwrap();
        // The authors round each layer on its own; the counts kept add up to the budget instead.
        let density = layer.target_density.unwrap();
        let floored = ((1.0 - density) * layer.total as f64).floor() as usize;
        assert_eq!(floored, *zeros, "{}", layer.name);
        let dead = layer.total - layer.live;
        assert!(dead.abs_diff(*zeros) <= 6, "{}: {dead}", layer.name);
    }
}

/// These shares come from densities, not from counts of whole weights, of which a narrow network has few
/// enough to show in the fourth digit.
#[test]
fn erk_cost_of_the_narrow_resnet_with_convolution_shortcuts() {
    let config = ResNetConfig::resnet32(10).with_variant(ResNetVariant::Grasp);
    let model = config.init(&Device::flex().autodiff()).unwrap();
    let counted = uses(&model);
    let uses = |layer: &LayerReport| counted.of_path(&layer.name).unwrap();
    for (sparsity, multiply_adds) in [(0.90, 0.1803), (0.95, 0.0890), (0.98, 0.0356)] {
        let report = report(model.clone(), random(sparsity));
        assert_eq!(report.prunable_weights, 464_432);
        let (mut sparse, mut dense) = (0.0, 0.0);
        for layer in &report.layers {
            let cost = layer.total as f64 * uses(layer) as f64;
            sparse += layer.target_density.unwrap() * cost;
            dense += cost;
        }
        let ratio = sparse / dense;
        assert!((ratio - multiply_adds).abs() < 5e-5, "{sparsity}: {ratio}");
    }
}

#[test]
fn erk_totals_with_a_hundred_classes() {
    for (sparsity, live) in [(0.90, 186_742), (0.95, 93_393), (0.98, 37_382)] {
        let report = report(wide(100), random(sparsity));
        assert_eq!(report.prunable_weights, 1_867_104);
        assert_eq!(rounded_by_layer(&report), live);
        assert_eq!(report.live_weights, exact(&report, sparsity));
    }
}

/// DeiT's weights of rank 2 and 4, for a width and 1000 classes.
fn deit(width: usize) -> Vec<Vec<usize>> {
    let mut shapes = vec![vec![width, 3, 16, 16]];
    for _block in 0..12 {
        shapes.push(vec![3 * width, width]); // qkv
        shapes.push(vec![width, width]); // proj
        shapes.push(vec![4 * width, width]); // fc1
        shapes.push(vec![width, 4 * width]); // fc2
    }
    shapes.push(vec![1000, width]);
    shapes
}

#[test]
fn erk_densities_of_deit() {
    let weights = |width| -> usize {
        deit(width)
            .iter()
            .map(|s| s.iter().product::<usize>())
            .sum()
    };
    assert_eq!(weights(192), 5_647_872);
    assert_eq!(weights(384), 21_912_576);
    assert_eq!(weights(768), 86_292_480);
    // Patch embedding, qkv, proj, fc1 and fc2, head.
    for (width, sparsity, expected) in [
        (192, 0.5, [0.11356, 0.51226, 0.76838, 0.48024, 0.45796]),
        (384, 0.5, [0.20609, 0.50367, 0.75550, 0.47219, 0.52281]),
        (384, 0.7, [0.12366, 0.30220, 0.45330, 0.28332, 0.31369]),
        (768, 0.5, [0.39153, 0.49929, 0.74893, 0.46808, 0.66206]),
    ] {
        let [patch, qkv, proj, fc, head] = expected;
        let block = [qkv, proj, fc, fc];
        let expected = [vec![patch], block.repeat(12), vec![head]].concat();
        let densities = Distribution::Erk.densities(&deit(width), sparsity).unwrap();
        assert_eq!(densities.len(), expected.len());
        for (density, expected) in densities.iter().zip(expected) {
            // Five digits are given.
            assert!((density - expected).abs() < 6e-6, "{width}, {sparsity}");
        }
    }
}

#[test]
fn a_global_budget_keeps_the_published_counts() {
    let leaves = tree::leaves(&wide(10)).into_iter();
    let weights = leaves
        .filter(|leaf| leaf.shape.len() > 1)
        .map(|leaf| Weight {
            values: vec![0.0; leaf.len()],
            ..Weight::default()
        });
    let weights: Vec<Weight> = weights.collect();
    for (sparsity, expected) in [(0.90, 185_558), (0.95, 92_779), (0.98, 37_112)] {
        let live = one_shot(&weights, &Magnitude, sparsity, Budget::Global).unwrap();
        let live = live.concat().into_iter().filter(|live| *live).count();
        assert_eq!(live, expected);
    }
}

/// MEST's choice: only the 3×3 convolutions of blocks are sparse.
#[test]
fn uniform_counts_of_the_blocks_convolutions() {
    for (percent, live) in [(90, 196_704), (95, 104_544), (98, 49_248)] {
        let method = RandomStatic::new(f64::from(percent) / 100.0);
        let method = method.with_distribution(Distribution::Uniform);
        let blocks = ParamGroup::from_regex(r"^layer\d\.\d\.conv\d\.weight$").unwrap();
        let report = report(wide(10), Sparsity::new(method).with_group(blocks));
        assert_eq!(report.layers.len(), 30);
        for layer in &report.layers {
            let dead = layer.total * percent as usize / 100;
            assert!(
                (layer.total - layer.live).abs_diff(dead) <= 1,
                "{}",
                layer.name
            );
        }
        // The published totals count the dense rest in.
        let dense = 1_855_584 - report.prunable_weights;
        assert_eq!(report.live_weights + dense, live);
    }
}
