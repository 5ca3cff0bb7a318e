//! burn's LSTM makes its first state in the device's own float type and knows no other.

use burn::nn::{Linear, LinearConfig, Lstm, LstmConfig};
use burn::tensor::Tensor;
use zosam::perturb::Identity;
use zosam::{Error, Grasp, Plain, SynFlow};

use super::*;

#[derive(Module, Debug)]
struct Net {
    lstm: Lstm,
    output: Linear,
}

impl Net {
    fn new() -> Self {
        drawn(Self {
            lstm: LstmConfig::new(2, 6, true).init(&device()),
            output: LinearConfig::new(6, 3).init(&device()),
        })
    }

    fn logits(&self, inputs: Tensor<3>) -> Tensor<2> {
        let (_, state) = self.lstm.forward(inputs, None);
        self.output.forward(state.hidden)
    }
}

/// GraSP, whose differences are in f64, says so; SynFlow takes the type that there is, and training goes on.
#[test]
fn methods_that_measure_in_f64_refuse_or_do_without() {
    let inputs = Tensor::<1, Int>::arange(0..24, &device()).float().sin();
    let batch = (
        inputs.reshape([4, 3, 2]),
        Tensor::<1, Int>::from_ints([0, 1, 2, 0], &device()),
    );
    let data = Classification::new([batch.clone()], Net::logits);

    let mut grasp = Sparsity::new(Grasp::new(0.5));
    let refusal = grasp.attach_on(Net::new(), &data).unwrap_err();
    let text = refusal.to_string();
    assert!(
        text.contains("cannot be computed in f64") && text.contains("with_tangent"),
        "{text}"
    );
    assert!(matches!(Error::from(refusal), Error::Unmeasurable { .. }));

    let mut synflow = Sparsity::new(SynFlow::new(0.5));
    let net = synflow.attach_on(Net::new(), &data).unwrap();
    let masks = synflow.masks();
    assert_eq!(masks.live_weights(), masks.prunable_weights() / 2);
    let mut optim = Plain::new(Identity, SgdConfig::new().init()).unwrap();
    let loss = |net: &Net| net.logits(batch.0.clone()).powi_scalar(2).mean();
    let (_, report) = optim.step_with(0.1, net, &mut synflow, loss).unwrap();
    assert!(report.loss_value().is_finite());
}
