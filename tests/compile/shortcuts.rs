//! He's shortcuts without weights.

use burn::module::Module;
use burn::nn::{Relu, conv::Conv2d};
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, ops::PadMode, s};
use zosam::compile::CompileConfig;
use zosam::inference::{Arithmetic, Input, SparseNetwork};

use crate::networks::{DENSITIES, conv, device, mean};
use crate::{agrees, floats, tensor, trained};

/// As ResNets for CIFAR-10 have it: every second pixel, and empty channels on both sides.
fn shortcut(x: Tensor<4>, by_padding: bool) -> Tensor<4> {
    let picked = x.slice(s![.., .., ..;2, ..;2]);
    let [batch, channels, height, width] = picked.dims();
    let added = [channels / 2, channels - channels / 2];
    if by_padding {
        let padding = [(added[0], added[1]), (0, 0), (0, 0)];
        return picked.pad(padding, PadMode::Constant(0.0));
    }
    let device = picked.device();
    let zeros = |channels| Tensor::zeros([batch, channels, height, width], &device);
    let [before, behind] = added.map(zeros);
    Tensor::cat(vec![before, picked, behind], 1)
}

#[derive(Module, Debug)]
struct Widening {
    stem: Conv2d,
    first: Conv2d,
    second: Conv2d,
}

#[test]
fn shortcuts_without_weights_are_one_step() {
    let names = |network: &SparseNetwork| -> Vec<String> {
        let operations = network.report().operations;
        let steps = operations.into_iter();
        let steps = steps.filter(|report| report.arithmetic != Arithmetic::Nothing);
        steps.map(|report| report.operation).collect()
    };
    for (by_padding, size) in [(false, [16, 16]), (true, [16, 16]), (false, [9, 11])] {
        for density in DENSITIES {
            let model = Widening {
                stem: conv([3, 9], 3, 1, 1),
                first: conv([9, 18], 3, 2, 1),
                second: conv([18, 18], 3, 1, 1),
            };
            let model = trained(model, density);
            let forward = |m: &Widening, x: Tensor<4>| {
                let x = relu(m.stem.forward(x));
                let y = m.second.forward(relu(m.first.forward(x.clone())));
                mean(relu(y + shortcut(x, by_padding)))
            };
            let network = agrees("a shortcut", &model, [1, 3, size[0], size[1]], forward);
            let expected = [
                "Conv + Relu",
                "Conv + Relu",
                "Conv",
                "Conv + Add + Relu",
                "Mean",
            ];
            assert_eq!(names(&network), expected);
        }
        // Nothing but the shortcut: its own numbers, also where they are not finite.
        let [height, width] = size;
        let mut images = tensor::<4>([2, 9, height, width], 3).into_data();
        let pixels = images.as_mut_slice::<f32>().unwrap();
        (pixels[4 * width + 2], pixels[height * width]) = (f32::INFINITY, f32::NAN);
        let images = Tensor::<4>::from_data(images, &device());
        let network = CompileConfig::new()
            .compile(
                &Relu::new(),
                tensor::<4>([1, 9, height, width], 5),
                |_, x| shortcut(x, by_padding),
            )
            .unwrap();
        assert_eq!(names(&network), ["Conv"]);
        let expected = floats(shortcut(images.clone(), by_padding));
        let outputs = network.run(&[Input::Float(&floats(images))]).unwrap();
        let found = outputs.into_iter().next().unwrap().floats().unwrap();
        let bits = |numbers: &[f32]| -> Vec<u32> {
            numbers.iter().map(|number| number.to_bits()).collect()
        };
        assert_eq!(bits(&found), bits(&expected));
    }
}

/// A shortcut of few channels is no convolution: one that is computed densely would multiply dead weights by infinity.
#[test]
fn infinity_stays_in_its_channel() {
    for channels in 1..10 {
        let widen = |x: Tensor<4>| {
            let picked = x.slice(s![.., .., ..;2, ..;2]);
            picked.pad([(3, 20), (0, 0), (0, 0)], PadMode::Constant(0.0))
        };
        let mut images = tensor::<4>([1, channels, 9, 11], 3).into_data();
        images.as_mut_slice::<f32>().unwrap()[4 * 11 + 2] = f32::INFINITY;
        let images = Tensor::<4>::from_data(images, &device());
        let sample = tensor::<4>([1, channels, 9, 11], 5);
        let network = CompileConfig::new().compile(&Relu::new(), sample, |_, x| widen(x));
        let outputs = network
            .unwrap()
            .run(&[Input::Float(&floats(images.clone()))]);
        let found = outputs.unwrap().into_iter().next().unwrap().floats();
        assert_eq!(found.unwrap(), floats(widen(images)), "{channels}");
    }
}
