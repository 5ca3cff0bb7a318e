use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use std::time::Instant;
fn cpu() -> f64 { let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap(); s.split(" ").next().unwrap().parse::<f64>().unwrap() * 1e-9 }
use zosam::inference::SparseNetwork;
use zosam::models::*;
use zosam::sparse::{Distribution, RandomStatic, Sparsity};

fn masked<M: Module>(model: M, density: f64) -> M {
    let device = Device::flex().autodiff();
    if density >= 1.0 {
        return model.valid();
    }
    let mut s =
        Sparsity::new(RandomStatic::new(1.0 - density).with_distribution(Distribution::default()));
    s.attach(model, |_: &M| Tensor::<1>::zeros([1], &device))
        .unwrap()
        .valid()
}
fn turns(
    name: &str,
    density: f64,
    batch: usize,
    old: &SparseNetwork,
    new: &SparseNetwork,
    size: usize,
    dense: impl Fn(Tensor<4>),
) {
    let images: Vec<f32> = (0..batch * 3 * size * size)
        .map(|i| ((i * 7919) % 100_003) as f32 / 50_000.0 - 1.0)
        .collect();
    let x = Tensor::<4>::from_data(
        TensorData::new(images.clone(), [batch, 3, size, size]),
        &Device::flex(),
    );
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    let la = old.logits(&images).unwrap();
    let lb = new.logits(&images).unwrap();
    let scale = la.iter().fold(0f32, |m, x| m.max(x.abs()));
    let diff = la
        .iter()
        .zip(&lb)
        .fold(0f32, |m, (x, y)| m.max((x - y).abs()))
        / scale;
    let start = Instant::now();
    let mut n = 0;
    while (n < 25 || start.elapsed().as_secs_f64() < 2.0) && start.elapsed().as_secs_f64() < 9.0 {
        n += 1;
        let t = Instant::now();
        old.logits(&images).unwrap();
        a.push(t.elapsed().as_secs_f64());
        let t = Instant::now();
        new.logits(&images).unwrap();
        b.push(t.elapsed().as_secs_f64());
        if n < 8 {
            let t = Instant::now();
            dense(x.clone());
            c.push(t.elapsed().as_secs_f64());
        }
    }
    let best = |v: &mut Vec<f64>| {
        v.sort_by(f64::total_cmp);
        (v[0] * 1e3, v[v.len() / 2] * 1e3)
    };
    let (a, b, c) = (best(&mut a), best(&mut b), best(&mut c));
    println!(
        "{name:14} {density:5} {batch:3}  old {:8.3} new {:8.3}  ratio min {:.3} median {:.3}  flex {:8.3} ({:.2})  diff {diff:.1e} n {n}",
        a.0,
        b.0,
        b.0 / a.0,
        b.1 / a.1,
        c.0,
        b.0 / c.0
    );
}
fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().unwrap();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let want = |n: &str| args.is_empty() || args.iter().any(|a| n.contains(a.as_str()));
    let device = Device::flex().autodiff();
    let densities = [1.0, 0.5, 0.2, 0.1, 0.02];
    macro_rules! go {
        ($name:expr, $size:expr, $config:expr) => {
            if want($name) {
                for density in densities {
                    let model = masked($config.init(&device).unwrap(), density);
                    let old = model.to_sparse_network([$size, $size]).unwrap();
                    let t = Instant::now();
                    let new = SparseNetwork::compile(
                        &model,
                        Tensor::<4>::ones([1, 3, $size, $size], &Device::flex()) * 0.3,
                        |m, x| m.forward(x),
                    )
                    .unwrap();
                    if density == 1.0 || density == 0.1 {
                        println!(
                            "# compile {:.2} s; bytes {} {}",
                            t.elapsed().as_secs_f64(),
                            old.bytes(),
                            new.bytes()
                        );
                    }
                    for batch in [1, 8] {
                        turns($name, density, batch, &old, &new, $size, |x| {
                            model.forward(x).into_data();
                        });
                    }
                }
            }
        };
    }
    go!(
        "resnet32",
        32,
        ResNetConfig::resnet32(10).with_variant(ResNetVariant::Grasp)
    );
    go!("resnet32-he", 32, ResNetConfig::resnet32(10));
    go!("vgg19", 32, VggConfig::vgg19(10).with_width(32));
    go!("wrn-16-4", 32, WideResNetConfig::new(16, 4, 10));
    go!("resnet50", 112, ImageNetResNetConfig::resnet50(1000));
    go!("deit-tiny", 224, DeitConfig::tiny(1000));
    go!(
        "deit-cifar",
        32,
        DeitConfig::tiny(10).with_image([32, 32]).with_patch(4)
    );
    go!("deit-small-d", 224, DeitConfig::small(1000).distilled());
}
