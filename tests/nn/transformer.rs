//! Layer norm, GELU and self-attention are burn's operations, which compute where the kernels do not: in `f64`, for one.

use burn::module::Param;
use burn::nn::LayerNormConfig;
use burn::tensor::activation;
use burn::tensor::{FloatDType, Tensor};
use zosam::nn::{LayerNorm, gelu, self_attention};

use super::{assert_close, device, random};

/// A function's output and the gradient of its input, with slopes that differ from place to place.
fn pass<const D: usize>(
    x: &Tensor<D>,
    function: impl Fn(Tensor<D>) -> Tensor<D>,
) -> [Tensor<D>; 2] {
    let x = x.clone().detach().require_grad();
    let y = function(x.clone());
    let slope = (y.clone().detach() * 3.0).cos();
    let gradients = (y.clone() * slope).sum().backward();
    [y.inner(), x.grad(&gradients).unwrap()]
}

/// The same in `f64`.
fn exactly<const D: usize>(
    x: &Tensor<D>,
    function: impl Fn(Tensor<D>) -> Tensor<D>,
) -> [Tensor<D>; 2] {
    pass(&x.clone().cast(FloatDType::F64), function).map(|tensor| tensor.cast(FloatDType::F32))
}

fn assert_equal<const D: usize>(what: &str, found: [Tensor<D>; 2], expected: [Tensor<D>; 2]) {
    for (found, expected) in found.into_iter().zip(expected) {
        assert_close(what, found, expected);
    }
}

#[test]
fn gelu_is_burns() {
    for shape in [[1, 1, 1], [3, 7, 5], [2, 70, 100]] {
        // A view: what is not contiguous is copied first.
        let x = (random(shape) * 2.0).swap_dims(1, 2);
        assert_equal("gelu", pass(&x, gelu), exactly(&x, gelu));
        assert_equal("gelu", pass(&x, gelu), pass(&x, activation::gelu));
    }
}

#[test]
fn self_attention_is_burns() {
    for ([batch, tokens, heads, size], causal) in [
        ([1, 1, 1, 1], true),
        ([2, 9, 3, 4], false),
        ([2, 9, 3, 4], true),
        ([1, 130, 2, 5], false),
        ([3, 130, 2, 5], true),
    ] {
        let x = random([batch, tokens, 3 * heads * size]);
        let attention = |x| {
            // As large as the input, so that `pass` serves here, too.
            let context = self_attention(x, heads, causal);
            Tensor::cat(
                vec![context.clone(), context.clone() * 0.5, context * 2.0],
                2,
            )
        };
        let what = format!("{batch} × {tokens}, {heads} heads of {size}, causal {causal}");
        assert_equal(&what, pass(&x, attention), exactly(&x, attention));
    }
}

/// Not by a bit: its weights are zero.
#[test]
fn what_comes_later_changes_nothing() {
    let x = random([2, 100, 24]);
    let whole = self_attention(x.clone(), 2, true);
    for seen in [1, 63, 64, 65, 99] {
        let later = x.clone().narrow(1, seen, 100 - seen) * -3.0 + 1.0;
        let other = Tensor::cat(vec![x.clone().narrow(1, 0, seen), later], 1);
        let other = self_attention(other, 2, true);
        let [found, expected] = [other, whole.clone()].map(|y| y.narrow(1, 0, seen).into_data());
        assert_eq!(found, expected, "{seen}");
    }
}

#[test]
fn layer_norm_is_burns() {
    for (shape, bias) in [([1, 1, 1], true), ([3, 7, 5], false), ([2, 40, 66], true)] {
        let config = LayerNormConfig::new(shape[2])
            .with_epsilon(1e-3)
            .with_bias(bias);
        let mut norm = LayerNorm::new(&config, &device());
        norm.gamma = Param::from_tensor(random([shape[2]]));
        norm.beta = bias.then(|| Param::from_tensor(random([shape[2]])));
        let x = random(shape) * 2.0 + 1.0;
        let all = |ours: bool| {
            let x = x.clone().detach().require_grad();
            let y = match ours {
                true => norm.forward(x.clone()),
                false => norm.as_burn().forward(x.clone()),
            };
            let slope = (y.clone().detach() * 3.0).cos();
            let gradients = (y.clone() * slope).sum().backward();
            let parameters = [Some(&norm.gamma), norm.beta.as_ref()];
            let parameters = parameters.into_iter().flatten();
            let parameters = parameters.map(|of| of.grad(&gradients).unwrap().unsqueeze());
            let first = [y.inner(), x.grad(&gradients).unwrap()];
            first
                .into_iter()
                .chain(parameters)
                .collect::<Vec<Tensor<3>>>()
        };
        for (found, expected) in all(true).into_iter().zip(all(false)) {
            assert_close("layer norm", found, expected);
        }
    }
}

/// What burn refuses is refused in burn's words.
#[test]
#[should_panic(expected = "assert_shape!(input, [.., d_model]): axis 1 expected 5, got 3")]
fn a_layer_norm_of_another_width() {
    LayerNorm::new(&LayerNormConfig::new(5), &device()).forward(random([2, 3]));
}

#[test]
#[should_panic(expected = "the last axis is 12, which is no multiple of 3 × 8 heads")]
fn heads_that_do_not_divide_the_width() {
    self_attention(random([1, 2, 12]), 8, false);
}
