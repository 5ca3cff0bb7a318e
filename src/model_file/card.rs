//! What a model file says of itself.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Configuration, Input};
use crate::checkpoint::fingerprint;
use crate::error::{Error, Fault, Faulty, Result};
use crate::masks::Masks;

/// Version of a card's layout; a reader refuses any other.
const VERSION: u32 = 1;

/// What a model file says of itself: everything that is needed to use it without the run that it is
/// from.
///
/// | says | set by | needed to |
/// |---|---|---|
/// | architecture and configuration | [`new`](Self::new) | make the model |
/// | names of the classes, in order | [`with_classes`](Self::with_classes) | read its answers |
/// | size, channels and normalisation of the input | [`with_input`](Self::with_input) | make its input |
/// | data set | [`with_data`](Self::with_data) | test it |
/// | sparsity method and its settings | [`with_method`](Self::with_method) | know |
/// | results of the run | [`with_result`](Self::with_result) | know |
/// | crate version, fingerprints, live weights | saving | know, and check |
///
/// ```
/// # #[cfg(all(feature = "flex", feature = "models"))] {
/// use burn::tensor::Device;
/// use zosam::masks::Masks;
/// use zosam::model_file::{Card, SaveOptions, load};
/// use zosam::models::ResNetConfig;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("model.safetensors");
/// let config = ResNetConfig::resnet32(2).with_depth(8).with_width(4);
/// let card = Card::new(&config)?.with_classes(["cat", "dog"])?.with_result("test accuracy", 0.9);
/// let model = config.init(&Device::flex())?;
/// SaveOptions::new().with_card(card).save(&path, &model, &Masks::dense())?;
///
/// let loaded = load::<ResNetConfig>(&path, &Device::flex())?; // by its own configuration
/// assert_eq!(loaded.config, config);
/// assert_eq!(loaded.card.classes(), ["cat", "dog"]);
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    version: u32,
    family: String,
    config: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Input>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "numbers")]
    results: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) saved: Option<Saved>,
    /// What the configuration says of classes and input; known where the card was made or checked.
    #[serde(skip)]
    facts: Facts,
}

/// What saving adds to a [`Card`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Saved {
    /// Version of this crate.
    pub zosam: String,
    /// The weights' [`fingerprint`](crate::checkpoint::fingerprint).
    pub weights: String,
    /// The masks' [`fingerprint`](crate::masks::Masks::fingerprint); `None` of a dense file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<String>,
    /// Live weights, of those that have a mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<[usize; 2]>,
}

/// What a configuration fixes.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    classes: Option<usize>,
    channels: Option<usize>,
    image: Option<[usize; 2]>,
}

impl Card {
    /// The card of a model of this configuration.
    ///
    /// # Errors
    ///
    /// If the configuration is not JSON.
    pub fn new<C: Configuration>(config: &C) -> Result<Self> {
        let value = serde_json::to_value(config).map_err(|error| Error::Config {
            field: "the configuration",
            value: error.to_string(),
            valid: "one that serde writes as JSON",
        })?;
        Ok(Self {
            version: VERSION,
            family: C::FAMILY.to_string(),
            config: value,
            classes: Vec::new(),
            input: None,
            data: None,
            method: None,
            results: BTreeMap::new(),
            saved: None,
            facts: Facts::of(config),
        })
    }

    /// Names the classes, in the order of the model's answers.
    ///
    /// # Errors
    ///
    /// If there are other than the configuration has, or one is named twice.
    pub fn with_classes(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self> {
        self.classes = names.into_iter().map(Into::into).collect();
        self.validate()?;
        Ok(self)
    }

    /// Says what the input is.
    ///
    /// # Errors
    ///
    /// If it is not valid in itself, or another than the configuration's.
    pub fn with_input(mut self, input: Input) -> Result<Self> {
        self.input = Some(input);
        self.validate()?;
        Ok(self)
    }

    /// Names the data set.
    pub fn with_data(mut self, name: impl Into<String>) -> Self {
        self.data = Some(name.into());
        self
    }

    /// Says how the sparsity came about: a [`Method`](crate::sparse::Method), or settings of your
    /// own.
    ///
    /// # Errors
    ///
    /// If it is not JSON.
    pub fn with_method(mut self, method: &impl Serialize) -> Result<Self> {
        let value = serde_json::to_value(method).map_err(|error| Error::Config {
            field: "the method",
            value: error.to_string(),
            valid: "one that serde writes as JSON",
        })?;
        self.method = Some(value);
        Ok(self)
    }

    /// Adds a number by name, which need not be finite.
    pub fn with_result(mut self, name: impl Into<String>, value: f64) -> Self {
        self.results.insert(name.into(), value);
        self
    }

    /// The family of models, [`Configuration::FAMILY`].
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The configuration of a family's model.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] if the file's model is of another family, or the card contradicts its
    /// own configuration.
    pub fn config<C: Configuration>(&self) -> Result<C> {
        if self.family != C::FAMILY {
            return Err(lies(format!(
                "it is of family `{}`, not `{}`",
                self.family,
                C::FAMILY
            )));
        }
        let config = C::deserialize(&self.config).map_err(|error| {
            lies("its configuration cannot be read".to_string()).caused_by(error)
        })?;
        let card = Self {
            facts: Facts::of(&config),
            ..self.clone()
        };
        card.validate().map_err(|error| lies(error.to_string()))?;
        Ok(config)
    }

    /// The configuration as JSON.
    pub fn config_json(&self) -> &Value {
        &self.config
    }

    /// Names of the classes in the order of the model's answers; none if they are not known.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What the input is.
    pub fn input(&self) -> Option<&Input> {
        self.input.as_ref()
    }

    /// Name of the data set.
    pub fn data(&self) -> Option<&str> {
        self.data.as_deref()
    }

    /// The sparsity method with its settings.
    pub fn method(&self) -> Option<&Value> {
        self.method.as_ref()
    }

    /// Results by name.
    pub fn results(&self) -> &BTreeMap<String, f64> {
        &self.results
    }

    /// What saving added; `None` of a card that is not from a file.
    pub fn saved(&self) -> Option<&Saved> {
        self.saved.as_ref()
    }

    /// The card as it is saved with a model.
    pub(super) fn of_saved<M: Module>(&self, model: &M, masks: &Masks) -> Result<Self> {
        self.validate()?;
        let live = [masks.live_weights(), masks.prunable_weights()];
        Ok(Self {
            saved: Some(Saved {
                zosam: env!("CARGO_PKG_VERSION").to_string(),
                weights: fingerprint(model),
                masks: masks_of(masks),
                live: (!masks.is_dense()).then_some(live),
            }),
            ..self.clone()
        })
    }

    /// Reads the card in a file's header.
    pub(super) fn from_json(value: &Value) -> Faulty<Self> {
        let version = value.get("version").unwrap_or(&Value::Null);
        if *version != VERSION {
            let reads = format!("this crate reads {VERSION}");
            return Err(format!("its card has version {version}, {reads}").into());
        }
        let card = Self::deserialize(value).map_err(Fault::by("its card cannot be read"))?;
        card.validate()
            .map_err(Fault::by("its card is not valid"))?;
        Ok(card)
    }

    /// Checks masks against what saving noted of them.
    pub(super) fn check_masks(&self, masks: &Masks) -> Result<()> {
        let noted = self.saved.as_ref().and_then(|saved| saved.masks.as_ref());
        match noted == masks_of(masks).as_ref() {
            true => Ok(()),
            false => Err(lies(
                "its masks are not those that it was saved with".to_string(),
            )),
        }
    }

    /// Checks the parts against each other.
    pub(super) fn validate(&self) -> Result<()> {
        let names = &self.classes;
        let expected = self.facts.classes.filter(|_| !names.is_empty());
        if let Some(classes) = expected.filter(|classes| *classes != names.len()) {
            return Err(Error::Config {
                field: "classes",
                value: format!("{} names for {classes} classes", names.len()),
                valid: "one name for each class of the configuration",
            });
        }
        let mut known = BTreeSet::new();
        if let Some(name) = names.iter().find(|name| !known.insert(*name)) {
            return Err(Error::Config {
                field: "classes",
                value: format!("`{name}` twice"),
                valid: "names that differ",
            });
        }
        let Some(input) = &self.input else {
            return Ok(());
        };
        input.validate()?;
        let [channels, height, width] = input.shape;
        let agrees = self.facts.channels.is_none_or(|of| of == channels)
            && self.facts.image.is_none_or(|of| of == [height, width]);
        match agrees {
            true => Ok(()),
            false => Err(Error::Config {
                field: "input.shape",
                value: format!("{:?}", input.shape),
                valid: "the channels and the image size of the configuration",
            }),
        }
    }
}

/// They follow from the configuration, whether they were looked up or not.
impl PartialEq for Facts {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Facts {
    fn of<C: Configuration>(config: &C) -> Self {
        Self {
            classes: config.classes(),
            channels: config.channels(),
            image: config.image(),
        }
    }
}

/// The fingerprint of masks, if there are any.
pub(super) fn masks_of(masks: &Masks) -> Option<String> {
    (!masks.is_dense()).then(|| masks.fingerprint())
}

fn lies(reason: String) -> Error {
    Error::mismatch("the file's card", reason)
}

/// Numbers as JSON has them, and as text those that it has not.
mod numbers {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Other(String),
    }

    pub fn serialize<S: Serializer>(
        numbers: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let number = |value: &f64| match value.is_finite() {
            true => Number::Finite(*value),
            false => Number::Other(value.to_string()),
        };
        let pairs = numbers.iter().map(|(name, value)| (name, number(value)));
        serializer.collect_map(pairs)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let numbers = BTreeMap::<String, Number>::deserialize(deserializer)?;
        let number = |(name, number)| match number {
            Number::Finite(value) => Ok((name, value)),
            Number::Other(text) => match text.parse() {
                Ok(value) => Ok((name, value)),
                Err(_) => Err(D::Error::custom(format!(
                    "result `{name}` is not a number: {text}"
                ))),
            },
        };
        numbers.into_iter().map(number).collect()
    }
}
