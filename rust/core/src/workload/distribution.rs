//! Times that are drawn: what users write where a plain number would be a constant.
//!
//! A number is drawn by inversion: one uniform number strictly between 0 and 1 becomes the quantile there, so that every
//! time takes one number of its stream and larger numbers give longer times. Logarithms are those of `libm`, with the
//! same bits on every platform. `docs/distributions.md` is the specification.

use super::normal;
use crate::base::{ConfigError, Picos, Rng};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// The longest time that is drawn, in ns; what lies above it is cut there.
const NANOS_MAX: f64 = 1e14;

/// The most values of an empirical distribution.
const VALUES_MAX: usize = 1 << 20;

/// A time, or how it is drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Duration {
    /// Always the same.
    Fixed(Picos),
    /// Drawn anew each time.
    Drawn(Box<Distribution>),
}

/// How a time is drawn. All numbers whose name ends so are nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Without memory.
    Exponential {
        /// Its mean.
        mean_ns: f64,
    },
    /// Everything between two bounds alike.
    Uniform {
        /// The least.
        min_ns: f64,
        /// The most.
        max_ns: f64,
    },
    /// Cut at 0.
    Normal {
        /// Its mean before it is cut.
        mean_ns: f64,
        /// Its standard deviation before it is cut.
        sd_ns: f64,
    },
    /// Its logarithm is normal. Either the median or the mean is given.
    Lognormal {
        /// Its median.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        median_ns: Option<f64>,
        /// Its mean.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mean_ns: Option<f64>,
        /// The standard deviation of its logarithm.
        sigma: f64,
    },
    /// A tail that falls like a power.
    Pareto {
        /// The least.
        scale_ns: f64,
        /// The power; the mean is finite above 1.
        shape: f64,
    },
    /// One of some values.
    Empirical {
        /// The values.
        values_ns: Vec<f64>,
        /// How likely each is, relative to the others; all alike if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<Vec<f64>>,
    },
}

/// A distribution whose rules hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampler(Shape);

/// Times in picoseconds.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Fixed(Picos),
    Exponential { mean: f64 },
    Uniform { min: f64, width: f64 },
    Normal { mean: f64, sd: f64 },
    Lognormal { log_median: f64, sigma: f64 },
    Pareto { scale: f64, power: f64 },
    Empirical { values: Box<[f64]>, weights_up_to: Box<[f64]> },
}

impl Duration {
    /// The time, if it is always the same.
    pub fn fixed(&self) -> Option<Picos> {
        match self {
            Self::Fixed(time) => Some(*time),
            Self::Drawn(_) => None,
        }
    }

    /// What draws it.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn sampler(&self, path: &str) -> Result<Sampler, ConfigError> {
        match self {
            Self::Fixed(time) => Ok(Sampler(Shape::Fixed(*time))),
            Self::Drawn(distribution) => distribution.sampler(path),
        }
    }
}

impl Default for Duration {
    fn default() -> Self {
        Self::Fixed(Picos::ZERO)
    }
}

impl From<Picos> for Duration {
    fn from(time: Picos) -> Self {
        Self::Fixed(time)
    }
}

impl Distribution {
    /// What draws from it.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn sampler(&self, path: &str) -> Result<Sampler, ConfigError> {
        Ok(Sampler(match self {
            Self::Exponential { mean_ns } => {
                let mean = picos(*mean_ns, &format!("{path}.exponential.mean_ns"))?;
                Shape::Exponential { mean }
            }
            Self::Uniform { min_ns, max_ns } => {
                let min = picos(*min_ns, &format!("{path}.uniform.min_ns"))?;
                let max = picos(*max_ns, &format!("{path}.uniform.max_ns"))?;
                if max < min {
                    let rule = format!("must be at least min_ns ({min_ns})");
                    return Err(ConfigError::new(format!("{path}.uniform.max_ns"), rule, max_ns));
                }
                Shape::Uniform { min, width: max - min }
            }
            Self::Normal { mean_ns, sd_ns } => Shape::Normal {
                mean: picos(*mean_ns, &format!("{path}.normal.mean_ns"))?,
                sd: picos(*sd_ns, &format!("{path}.normal.sd_ns"))?,
            },
            Self::Lognormal { median_ns, mean_ns, sigma } => {
                let path = format!("{path}.lognormal");
                let sigma = within(*sigma, 0.0, 10.0, &format!("{path}.sigma"))?;
                let log = |field: &str, value: f64| {
                    Ok(libm::log(1000.0 * within(value, 1e-3, NANOS_MAX, &format!("{path}.{field}"))?))
                };
                let log_median = match (median_ns, mean_ns) {
                    (Some(median), None) => log("median_ns", *median)?,
                    (None, Some(mean)) => log("mean_ns", *mean)? - 0.5 * sigma * sigma,
                    (given, _) => {
                        let got = if given.is_some() { "both" } else { "neither" };
                        return Err(ConfigError::new(path, "must have either median_ns or mean_ns", got));
                    }
                };
                Shape::Lognormal { log_median, sigma }
            }
            Self::Pareto { scale_ns, shape } => Shape::Pareto {
                scale: 1000.0 * within(*scale_ns, 1e-3, NANOS_MAX, &format!("{path}.pareto.scale_ns"))?,
                power: -1.0 / within(*shape, 0.01, 1000.0, &format!("{path}.pareto.shape"))?,
            },
            Self::Empirical { values_ns, weights } => {
                empirical(values_ns, weights.as_deref(), &format!("{path}.empirical"))?
            }
        }))
    }
}

fn empirical(values: &[f64], weights: Option<&[f64]>, path: &str) -> Result<Shape, ConfigError> {
    if !(1..=VALUES_MAX).contains(&values.len()) {
        let rule = format!("must hold 1 to {VALUES_MAX} values");
        return Err(ConfigError::new(format!("{path}.values_ns"), rule, values.len()));
    }
    if let Some(weights) = weights.filter(|weights| weights.len() != values.len()) {
        let rule = format!("must hold one for each of the {} values", values.len());
        return Err(ConfigError::new(format!("{path}.weights"), rule, weights.len()));
    }
    let (mut times, mut weights_up_to, mut sum) = (Vec::new(), Vec::new(), 0.0);
    for (index, &value) in values.iter().enumerate() {
        times.push(picos(value, &format!("{path}.values_ns[{index}]"))?);
        sum += match weights {
            Some(weights) => within(weights[index], 0.0, 1e15, &format!("{path}.weights[{index}]"))?,
            None => 1.0,
        };
        weights_up_to.push(sum);
    }
    if sum <= 0.0 {
        return Err(ConfigError::new(format!("{path}.weights"), "must not all be 0", sum));
    }
    Ok(Shape::Empirical { values: times.into(), weights_up_to: weights_up_to.into() })
}

impl Sampler {
    /// Always the same time.
    pub const fn constant(time: Picos) -> Self {
        Self(Shape::Fixed(time))
    }

    /// The next time of a stream. A constant one draws nothing.
    pub fn draw(&self, draws: &mut Rng) -> Picos {
        match self.0 {
            Shape::Fixed(time) => time,
            _ => self.quantile(draws.unit()),
        }
    }

    /// The time below which a part strictly between 0 and 1 of all times lies.
    pub fn quantile(&self, part: f64) -> Picos {
        let picos = match &self.0 {
            Shape::Fixed(time) => return *time,
            Shape::Exponential { mean } => -libm::log1p(-part) * mean,
            Shape::Uniform { min, width } => min + part * width,
            Shape::Normal { mean, sd } => mean + sd * normal::quantile(part),
            Shape::Lognormal { log_median, sigma } => libm::exp(log_median + sigma * normal::quantile(part)),
            Shape::Pareto { scale, power } => scale * libm::exp(power * libm::log1p(-part)),
            Shape::Empirical { values, weights_up_to } => {
                let weight = part * weights_up_to.last().expect("there is a value");
                values[weights_up_to.partition_point(|&up_to| up_to <= weight).min(values.len() - 1)]
            }
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is cut to what fits")]
        Picos((picos + 0.5).clamp(0.0, 1000.0 * NANOS_MAX) as u64)
    }

    /// What a time is expected to be: its mean, or its median if there is no finite mean.
    pub fn expected(&self) -> Picos {
        Picos::from_nanos_f64(self.mean_ns()).unwrap_or_else(|| self.quantile(0.5))
    }

    /// The mean before rounding and before anything is cut, in ns; infinite for a Pareto shape of at most 1.
    pub fn mean_ns(&self) -> f64 {
        match &self.0 {
            Shape::Fixed(time) => time.nanos(),
            Shape::Exponential { mean } | Shape::Normal { mean, .. } => mean / 1000.0,
            Shape::Uniform { min, width } => (min + 0.5 * width) / 1000.0,
            Shape::Lognormal { log_median, sigma } => libm::exp(log_median + 0.5 * sigma * sigma) / 1000.0,
            Shape::Pareto { power, .. } if *power <= -1.0 => f64::INFINITY,
            Shape::Pareto { scale, power } => scale / (1.0 + power) / 1000.0,
            Shape::Empirical { values, weights_up_to } => {
                let (mut sum, mut before) = (0.0, 0.0);
                for (value, up_to) in values.iter().zip(weights_up_to) {
                    sum += value * (up_to - before);
                    before = *up_to;
                }
                sum / before / 1000.0
            }
        }
    }
}

fn picos(nanos: f64, path: &str) -> Result<f64, ConfigError> {
    Ok(1000.0 * within(nanos, 0.0, NANOS_MAX, path)?)
}

fn within(value: f64, min: f64, max: f64, path: &str) -> Result<f64, ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::new(path, format!("must be {min} to {max:e}"), value))
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in nanoseconds, from 0 to 1e14, or a table with the name of a distribution")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Duration, E> {
                self.visit_f64(value as f64)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Duration, E> {
                self.visit_f64(value as f64)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Duration, E> {
                let time = Picos::from_nanos_f64(value);
                time.map(Duration::Fixed).ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Duration, A::Error> {
                let distribution = Distribution::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Duration::Drawn(Box::new(distribution)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(json: &str) -> Sampler {
        serde_json::from_str::<Duration>(json).unwrap().sampler("ns").unwrap()
    }

    fn error(json: &str) -> String {
        serde_json::from_str::<Duration>(json).unwrap().sampler("ns").unwrap_err().to_string()
    }

    const EACH: [&str; 8] = [
        "1000",
        r#"{"exponential": {"mean_ns": 1000}}"#,
        r#"{"uniform": {"min_ns": 500, "max_ns": 1500}}"#,
        r#"{"normal": {"mean_ns": 1000, "sd_ns": 100}}"#,
        r#"{"lognormal": {"mean_ns": 1000, "sigma": 0.5}}"#,
        r#"{"pareto": {"scale_ns": 750, "shape": 4}}"#,
        r#"{"empirical": {"values_ns": [500, 1500]}}"#,
        r#"{"empirical": {"values_ns": [0, 700, 9999, 1300], "weights": [0, 3, 0, 3]}}"#,
    ];

    #[test]
    fn each_has_its_mean() {
        for json in EACH {
            let sampler = sampler(json);
            assert!((sampler.mean_ns() - 1000.0).abs() < 1e-6, "{json}: {}", sampler.mean_ns());
            let mut draws = Rng::stream(3, "test", 0);
            let mean = (0..200_000).map(|_| sampler.draw(&mut draws).nanos()).sum::<f64>() / 200_000.0;
            assert!((mean - 1000.0).abs() < 10.0, "{json}: {mean}");
        }
    }

    #[test]
    fn each_draws_its_quantiles() {
        for json in EACH {
            let sampler = sampler(json);
            let mut draws = Rng::stream(4, "test", 0);
            let times: Vec<Picos> = (0..100_000).map(|_| sampler.draw(&mut draws)).collect();
            for part in [0.01, 0.25, 0.75, 0.99] {
                let quantile = sampler.quantile(part);
                let below = times.iter().filter(|&&time| time < quantile).count() as f64 / 1e5;
                let up_to = times.iter().filter(|&&time| time <= quantile).count() as f64 / 1e5;
                assert!(below <= part + 0.006 && part - 0.006 <= up_to, "{json} at {part}: {below} {up_to}");
            }
        }
    }

    #[test]
    fn known_quantiles() {
        let at = |json: &str, part: f64| sampler(json).quantile(part).0;
        assert_eq!(at(r#"{"exponential": {"mean_ns": 1000}}"#, 0.5), 693_147);
        assert_eq!(at(r#"{"pareto": {"scale_ns": 100, "shape": 2}}"#, 0.75), 200_000);
        assert_eq!(at(r#"{"lognormal": {"median_ns": 100, "sigma": 1}}"#, 0.5), 100_000);
        assert_eq!(at(r#"{"normal": {"mean_ns": 100, "sd_ns": 10}}"#, 0.975), 119_600);
        assert_eq!(at(r#"{"normal": {"mean_ns": 10, "sd_ns": 100}}"#, 0.01), 0);
        assert_eq!(at(r#"{"pareto": {"scale_ns": 100, "shape": 0.01}}"#, 0.999), 100_000_000_000_000_000);
    }

    #[test]
    fn reading_what_was_written_gives_the_same_duration() {
        for json in EACH {
            let duration: Duration = serde_json::from_str(json).unwrap();
            let again = serde_json::from_str(&serde_json::to_string(&duration).unwrap()).unwrap();
            assert_eq!(duration, again);
        }
    }

    #[test]
    fn broken_rules_are_told_with_their_paths() {
        assert_eq!(error(r#"{"exponential": {"mean_ns": -1}}"#), "ns.exponential.mean_ns: must be 0 to 1e14, got -1");
        assert_eq!(
            error(r#"{"uniform": {"min_ns": 2, "max_ns": 1}}"#),
            "ns.uniform.max_ns: must be at least min_ns (2), got 1"
        );
        assert_eq!(
            error(r#"{"lognormal": {"sigma": 1}}"#),
            "ns.lognormal: must have either median_ns or mean_ns, got neither"
        );
        assert_eq!(error(r#"{"pareto": {"scale_ns": 1, "shape": 0}}"#), "ns.pareto.shape: must be 0.01 to 1e3, got 0");
        assert_eq!(
            error(r#"{"empirical": {"values_ns": [1, 2], "weights": [0, 0]}}"#),
            "ns.empirical.weights: must not all be 0, got 0"
        );
        assert_eq!(
            error(r#"{"empirical": {"values_ns": [1, 1e15]}}"#),
            "ns.empirical.values_ns[1]: must be 0 to 1e14, got 1000000000000000"
        );
        assert_eq!(
            error(r#"{"empirical": {"values_ns": []}}"#),
            "ns.empirical.values_ns: must hold 1 to 1048576 values, got 0"
        );
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for json in ["-1", "1e15", "\"4\"", "{}", r#"{"expo": {}}"#, r#"{"exponential": {"mean": 1}}"#, "[1]", "null"] {
            assert!(serde_json::from_str::<Duration>(json).is_err(), "{json}");
        }
    }
}
