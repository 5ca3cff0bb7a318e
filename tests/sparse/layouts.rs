//! Weights in both of burn's layouts, in modules that nobody has read yet: burn announces the shape of a
//! `LinearLayout::Col` weight transposed until its value is made.

use burn::module::{Module, ParamGroup};
use burn::nn::{Linear, LinearConfig, LinearLayout};
use burn::optim::SgdConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor};
use zosam::checkpoint::Store;
use zosam::masks::{Execution, Masks};
use zosam::model_file::{load_model, save_model};
use zosam::objective::seeded;
use zosam::perturb::*;
use zosam::sparse::{Granularity, Method, Sparsity};
use zosam::{RandomStatic, RigL, tree};

const LAYOUTS: [LinearLayout; 2] = [LinearLayout::Row, LinearLayout::Col];

/// Two layers of burn's, and one of this crate's.
#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
    third: zosam::nn::Linear,
}

fn device() -> Device {
    Device::flex().autodiff()
}

impl Net {
    /// Parameters are drawn when they are first read.
    fn unread(layout: LinearLayout) -> Self {
        let config = |inputs, outputs| LinearConfig::new(inputs, outputs).with_layout(layout);
        Self {
            first: config(20, 8).init(&device()),
            second: config(8, 12).init(&device()),
            third: zosam::nn::Linear::new(&config(12, 6), &device()),
        }
    }

    fn loss(&self, inputs: &Tensor<2>) -> Tensor<1> {
        let hidden = relu(self.first.forward(inputs.clone()));
        let hidden = relu(self.second.forward(hidden));
        self.third.forward(hidden).powi_scalar(2).mean()
    }
}

fn inputs() -> Tensor<2> {
    let normal = Distribution::Normal(0.0, 1.0);
    seeded(&device(), 3, || Tensor::random([16, 20], normal, &device()))
}

/// Lets `read` draw the parameters, while no other test draws.
fn drawing<R>(read: impl FnOnce() -> R) -> R {
    seeded(&device(), 1, read)
}

/// Whoever reads first, leaves and values are of one shape.
#[test]
fn leaves_have_the_shape_of_their_values() {
    for layout in LAYOUTS {
        let net = Net::unread(layout);
        let leaves = drawing(|| tree::leaves(&net));
        assert_eq!(leaves[0].shape, [20, 8], "{layout:?}");
        assert_eq!(leaves[0].shape, net.first.weight.val().dims());
        assert_eq!(leaves[4].shape, net.third.weight.val().dims());
        assert_eq!(tree::leaves(&net), leaves);
    }
}

fn bits(net: &Net) -> Vec<u32> {
    let values = tree::values(net);
    let numbers = values.iter().flat_map(|(_, value)| {
        let data = value.to_data();
        data.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()
    });
    numbers.collect()
}

/// Trains from a module that was never read, saves it on the way, and goes on from there.
fn trained(
    layout: LinearLayout,
    config: &SharpnessConfig,
    method: &Method,
    execution: Execution,
) -> Vec<u32> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let inputs = inputs();
    let loss = |net: &Net| net.loss(&inputs);
    let unattached = || {
        let sparsity = Sparsity::from_boxed(method.clone().boxed());
        sparsity.with_execution(execution)
    };
    let optimizer = || config.init(SgdConfig::new().build()).unwrap();
    let (mut sparsity, mut optim) = (unattached(), optimizer());
    let mut net = drawing(|| sparsity.attach(Net::unread(layout), loss).unwrap());
    for step in 0..8 {
        net = optim.step_with(0.05, net, &mut sparsity, loss).unwrap().0;
        if step == 4 {
            store.save(&net, &optim, &sparsity, &()).unwrap();
        }
    }
    let (mut resumed, saved) = (unattached(), store.latest().unwrap().unwrap());
    let load = || store.load(&saved, Net::unread(layout), optimizer(), &mut resumed);
    let (mut again, mut optim, ()) = drawing(load).unwrap();
    for _ in 5..8 {
        again = optim.step_with(0.05, again, &mut resumed, loss).unwrap().0;
    }
    assert!(bits(&again) == bits(&net), "{layout:?}, {config:?}");

    let path = folder.path().join("net.safetensors");
    save_model(&path, &net, sparsity.masks()).unwrap();
    let (loaded, masks) = drawing(|| load_model(&path, Net::unread(layout)).unwrap());
    assert!(bits(&loaded) == bits(&net), "{layout:?}, {config:?}");
    assert_eq!(masks.fingerprint(), sparsity.masks().fingerprint());
    bits(&net)
}

/// A run saves, resumes and writes its file exactly, and dense arithmetic and the kernels' agree. (Where
/// masks change, roundings may choose other weights, so that masks are fixed for the latter.)
#[test]
fn both_layouts_train_and_resume_unread() {
    let rigl = Method::RigL(RigL::new(0.5).until(12).every(3));
    let fixed = Method::Random(RandomStatic::new(0.5));
    for layout in LAYOUTS {
        for config in [
            SharpnessConfig::None,
            SharpnessConfig::Sam(SamConfig::new()),
            SharpnessConfig::ZoSam(ZoSamConfig::new().with_directions(3)),
            SharpnessConfig::MomentumSam(MomentumSamConfig::new()),
        ] {
            let executions = [Execution::Dense, Execution::Sparse];
            trained(
                layout,
                &config,
                &Method::Dense(Default::default()),
                Execution::Auto,
            );
            for execution in executions {
                trained(layout, &config, &rigl, execution);
            }
            let [dense, sparse] =
                executions.map(|execution| trained(layout, &config, &fixed, execution));
            let pairs = dense.iter().zip(&sparse);
            let pairs = pairs.map(|(a, b)| (f32::from_bits(*a), f32::from_bits(*b)));
            // Eight steps whose sums are taken in another order.
            let far = pairs.filter(|(a, b)| (a - b).abs() > 1e-5).count();
            assert_eq!(far, 0, "{layout:?}, {config:?}");
        }
    }
}

/// Units of a weight are counted along the axes of its value.
#[test]
fn units_follow_the_value() {
    for layout in LAYOUTS {
        let rigl = RigL::new(0.5).until(12);
        let mut sparsity = Sparsity::new(rigl).with_granularity(
            ParamGroup::from_predicate("first"),
            Granularity::OutputChannel,
        );
        let inputs = inputs();
        let loss = |net: &Net| net.loss(&inputs);
        let net = drawing(|| sparsity.attach(Net::unread(layout), loss).unwrap());
        let live = sparsity.masks().live_set(net.first.weight.id).unwrap();
        for output in 0..8 {
            let column: Vec<bool> = (0..20).map(|input| live[input * 8 + output]).collect();
            assert!(column.iter().all(|live| *live == column[0]), "{layout:?}");
        }
    }
}

/// A file that was written before anything was read is that of the weights that are drawn then.
#[test]
fn an_unread_model_can_be_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    for layout in LAYOUTS {
        let net = Net::unread(layout);
        drawing(|| save_model(&path, &net, &Masks::dense()).unwrap());
        let (loaded, _) = drawing(|| load_model(&path, Net::unread(layout)).unwrap());
        assert!(bits(&loaded) == bits(&net), "{layout:?}");
    }
}
