//! The networks of `examples/language_model`, `scenes` and `sequences` under AdamW: sizes, then `EXECUTION DENSITY`. With execution `dense`
//! layers compute by burn's operations, with `auto` by the sparse kernels where these are faster. Masks are random and uniform.

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Distribution, Int, Tensor};
use zosam::model_file::Configuration;
use zosam::perturb::SharpnessConfig;
use zosam::sparse::{Distribution as Densities, RandomStatic, Sparsity};

use crate::gpt::GptConfig;
use crate::scenes::Segmenter;
use crate::sequences::{ConvNet, Network};
use crate::{device, number, steps};

/// `gpt LAYERS WIDTH CONTEXT BATCH EXECUTION DENSITY`, heads of 32.
pub fn gpt(words: &[&str]) -> Box<dyn FnMut()> {
    let [layers, width, context, batch, how @ ..] = words else {
        panic!("layers width context batch execution density, not {words:?}");
    };
    let (width, context) = (number(width), number(context));
    let config = GptConfig {
        layers: number(layers),
        width,
        heads: width / 32,
        context,
        tied: true,
        dropout: 0.0,
    };
    let device = device::chosen().autodiff();
    let model = config.init(&device).expect("a valid network");
    let windows = whole([number(batch), context + 1], 256, &device);
    adamw(model, how, windows, |model, windows| {
        model.losses(windows.clone()).mean()
    })
}

/// `unet WIDTH BATCH EXECUTION DENSITY`, four levels, scenes of 64 × 64.
pub fn unet(words: &[&str]) -> Box<dyn FnMut()> {
    let [width, batch, how @ ..] = words else {
        panic!("width batch execution density, not {words:?}");
    };
    let (batch, device) = (number(batch), device::chosen().autodiff());
    let model = Segmenter::new(number(width), 4, &device);
    let images = Tensor::random([batch, 1, 64, 64], Distribution::Default, &device);
    let masks: Tensor<3, Int> = whole([batch, 64, 64], 11, &device);
    adamw(model, how, (images, masks), |model, (images, masks)| {
        model.losses(images.clone(), masks.clone()).mean()
    })
}

/// `sequence WIDTH BATCH EXECUTION DENSITY`, sequences of 40 numbers.
pub fn sequence(words: &[&str]) -> Box<dyn FnMut()> {
    let [width, batch, how @ ..] = words else {
        panic!("width batch execution density, not {words:?}");
    };
    let (batch, device) = (number(batch), device::chosen().autodiff());
    let model = ConvNet::new(number(width), &device);
    let sequences = Tensor::random([batch, 40], Distribution::Default, &device);
    let labels: Tensor<1, Int> = whole([batch], 10, &device);
    adamw(
        model,
        how,
        (sequences, labels),
        |model, (sequences, labels)| {
            let picked = log_softmax(model.logits(sequences.clone()), 1);
            picked
                .gather(1, labels.clone().unsqueeze_dim(1))
                .mean()
                .neg()
        },
    )
}

/// Whole numbers below a limit.
fn whole<const D: usize>(shape: [usize; D], limit: usize, device: &Device) -> Tensor<D, Int> {
    let range = Distribution::Uniform(0.0, limit as f64);
    Tensor::<D>::random(shape, range, device).int()
}

fn adamw<M: Module + 'static, B: 'static>(
    model: M,
    how: &[&str],
    batch: B,
    loss: fn(&M, &B) -> Tensor<1>,
) -> Box<dyn FnMut()> {
    let [execution, density] = how else {
        panic!("execution density, not {how:?}");
    };
    let density: f64 = number(density);
    let sparsity = match density < 1.0 {
        true => {
            Sparsity::new(RandomStatic::new(1.0 - density).with_distribution(Densities::Uniform))
        }
        false => Sparsity::dense(),
    };
    let sparsity = sparsity.with_execution(execution.parse().expect("auto, dense or sparse"));
    let optim = SharpnessConfig::None.init(AdamWConfig::new().build());
    steps(model, sparsity, optim.expect("valid"), batch, loss)
}
