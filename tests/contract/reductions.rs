//! Members of the family are SAM, or each other, at the ends of their settings.

use zosam::perturb::*;
use zosam::tree;

use super::setup::*;

const RHO: f64 = 0.1;
const STEPS: u64 = 6;

fn trained(config: SharpnessConfig) -> Net {
    let (net, mut sparsity) = attach(&methods()[3].1, Net::new(&device()));
    let mut optim = config.init(sgd()).unwrap();
    train(&mut optim, net, &mut sparsity, 0..STEPS)
}

/// Weights and running statistics, in the order of the module. Ids differ from net to net.
fn numbers(net: &Net) -> Vec<f64> {
    let tensors = tree::named_tensors(net);
    let numbers = tensors.iter().flat_map(|(_, data)| data.iter::<f64>());
    numbers.collect()
}

fn sam() -> Net {
    trained(SharpnessConfig::Sam(SamConfig::new().with_rho(RHO)))
}

/// Six steps, a change of masks among them, end in the same bits, running statistics included.
#[test]
fn ends_of_settings_are_sam_to_the_bit() {
    let expected = bits(&sam());
    for (name, config) in [
        (
            "gsam, alpha 0",
            SharpnessConfig::Gsam(GsamConfig::new().with_rho(RHO).with_alpha(0.0)),
        ),
        (
            "looksam, every step",
            SharpnessConfig::LookSam(LookSamConfig::new().with_rho(RHO).with_every(1)),
        ),
        (
            "fsam, sigma 0",
            SharpnessConfig::FriendlySam(FriendlySamConfig::new().with_rho(RHO).with_sigma(0.0)),
        ),
    ] {
        assert!(bits(&trained(config)) == expected, "{name}");
    }
}

/// Where the arithmetic is another the weights agree to rounding.
#[test]
fn ends_of_settings_are_sam_to_rounding() {
    let expected = numbers(&sam());
    let wsam = WsamConfig::new().with_rho(RHO).with_gamma(0.5);
    // ASAM has no such end: its T is 1 on biases, whatever eta is.
    for (name, config, tolerance) in [
        (
            "wsam, gamma 1/2",
            SharpnessConfig::Wsam(wsam.with_decoupled(false)),
            1e-6,
        ),
        (
            "fisher-sam, eta 0",
            SharpnessConfig::FisherSam(FisherSamConfig::new().with_rho(RHO).with_eta(0.0)),
            1e-6,
        ),
    ] {
        let found = numbers(&trained(config));
        let norm =
            |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
        let distance = norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b));
        let share = distance / norm(&mut expected.iter().copied());
        assert!(share < tolerance, "{name}: {share}");
    }
}
