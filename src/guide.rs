//! The guide: short pages, from a first sparse model to a method of your own.
//!
//! All code in it runs as tests. The pages are also files, in `docs/guide`.
//!
//! | to use it | |
//! |---|---|
//! | [Your model, sparse, in 15 minutes](first_model) | four lines of a training loop |
//! | [Choosing a method](choosing_a_method) | which weights live |
//! | [Choosing a perturbation](choosing_a_perturbation) | where the gradient is measured |
//! | [Reading the report](reading_the_report) | what a step did, how sparse the model is |
//! | [Saving, resuming, fine-tuning](saving) | checkpoints and model files |
//! | [N:M, blocks and density by layer](patterns) | sparsity with a structure |
//! | [In burn's Learner](learner) | its loaders, metrics and checkpoints (feature `train`) |
//! | [On several devices](devices) | large batches and replicas |
//! | [Deploying on a CPU, and as ONNX](deploying) | one file, without burn |
//!
//! | to extend it | |
//! |---|---|
//! | [Writing a method](writing_a_method) | scores and parts |
//! | [Writing a perturbation](writing_a_perturbation) | one function |
//! | [Glossary](glossary) | one word for one thing |

/// Where links of the pages lead in this documentation. In the files they lead to files: of two
/// definitions of a link the first one counts.
macro_rules! links {
    () => {
        "[Your model, sparse, in 15 minutes]: crate::guide::first_model\n\
         [Choosing a method]: crate::guide::choosing_a_method\n\
         [Choosing a perturbation]: crate::guide::choosing_a_perturbation\n\
         [Reading the report]: crate::guide::reading_the_report\n\
         [Saving, resuming, fine-tuning]: crate::guide::saving\n\
         [N:M, blocks and density by layer]: crate::guide::patterns\n\
         [In burn's Learner]: crate::guide::learner\n\
         [On several devices]: crate::guide::devices\n\
         [Deploying on a CPU, and as ONNX]: crate::guide::deploying\n\
         [Writing a method]: crate::guide::writing_a_method\n\
         [Writing a perturbation]: crate::guide::writing_a_perturbation\n\
         [Glossary]: crate::guide::glossary\n\
         [BEYOND_IMAGES.md]: https://docs.rs/crate/zosam/latest/source/docs/BEYOND_IMAGES.md\n\
         [COMMAND_LINE.md]: https://docs.rs/crate/zosam/latest/source/docs/COMMAND_LINE.md\n\
         [GPU.md]: https://docs.rs/crate/zosam/latest/source/docs/GPU.md\n\
         [MODEL_FILES.md]: https://docs.rs/crate/zosam/latest/source/docs/MODEL_FILES.md\n\
         [PERFORMANCE.md]: https://docs.rs/crate/zosam/latest/source/docs/PERFORMANCE.md\n\
         [PERTURBATIONS.md]: https://docs.rs/crate/zosam/latest/source/docs/PERTURBATIONS.md\n\
         [RESULTS.md]: https://docs.rs/crate/zosam/latest/source/docs/RESULTS.md\n\
         [THEORY.md]: https://docs.rs/crate/zosam/latest/source/docs/THEORY.md\n\n"
    };
}

/// A page is a module, whatever features there are, so that links to it hold. Its text needs some.
macro_rules! pages {
    ($($page:ident needs $gate:meta;)*) => {$(
        #[cfg_attr($gate, doc = links!())]
        #[cfg_attr($gate, doc = include_str!(concat!("../docs/guide/", stringify!($page), ".md")))]
        #[cfg_attr(not($gate), doc = concat!("This page needs `", stringify!($gate), "`."))]
        pub mod $page {}
    )*};
}

pages! {
    first_model needs feature = "flex";
    choosing_a_method needs feature = "flex";
    choosing_a_perturbation needs feature = "flex";
    reading_the_report needs feature = "compile";
    saving needs feature = "flex";
    patterns needs feature = "flex";
    learner needs all(feature = "flex", feature = "train");
    devices needs feature = "flex";
    deploying needs all(feature = "compile", feature = "onnx");
    writing_a_method needs feature = "flex";
    writing_a_perturbation needs feature = "flex";
    glossary needs feature = "burn";
}
