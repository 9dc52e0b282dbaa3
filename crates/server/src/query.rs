//! Parameters of a request, read as Docker reads them.

use std::collections::BTreeMap;

use engine::Filters;
use model::Timestamp;
use percent_encoding::percent_decode;
use serde_json::Value;

use crate::error::Error;

/// Decoded parameters in order; the first of a name counts where only one is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=x+y`; what cannot be decoded stays as it is.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter; empty if it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    /// The first value of a parameter that is there and not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// Every value of a parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// Whether a parameter is true: there, and not empty, `0`, `no`, `false` or `none`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.given(name).is_some_and(ladder::truth)
    }

    /// The same with a value for a parameter that is not there.
    pub(crate) fn flag_or(&self, name: &str, default: bool) -> bool {
        if self.given(name).is_some() { self.flag(name) } else { default }
    }

    /// A whole number; `None` if not there.
    ///
    /// # Errors
    /// 400 if it is no number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.given(name) else { return Ok(None) };
        let number = text.trim().parse();
        number.map(Some).map_err(|error| Error::invalid(format!("invalid value {text:?} for {name}: {error}")))
    }

    /// A moment: Unix seconds with fraction, RFC 3339, or a duration before now; `None` if not there or `0`.
    ///
    /// # Errors
    /// 400 if it is none of these.
    pub(crate) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let Some(text) = self.given(name).filter(|text| *text != "0") else { return Ok(None) };
        let moment = Timestamp::parse_filter(text, Timestamp::now());
        moment.map(Some).map_err(|error| Error::invalid(format!("invalid value {text:?} for {name}: {error}")))
    }

    /// `filters`: `{"key":["value"]}`, or `{"key":{"value":true}}` as Docker's own client writes it.
    ///
    /// # Errors
    /// 400 if it is neither.
    pub(crate) fn filters(&self) -> Result<Filters, Error> {
        let Some(text) = self.given("filters") else { return Ok(Filters::default()) };
        let document =
            serde_json::from_str(text).map_err(|error| Error::invalid(format!("invalid filter: {error}")))?;
        read_filters(document).map(Filters).ok_or_else(|| Error::invalid(format!("invalid filter '{text}'")))
    }
}

fn read_filters(document: Value) -> Option<BTreeMap<String, Vec<String>>> {
    let Value::Object(members) = document else { return document.is_null().then(BTreeMap::new) };
    let read = |values: Value| -> Option<Vec<String>> {
        match values {
            Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
            Value::Object(values) => {
                Some(values.into_iter().filter(|(_, on)| on == &Value::Bool(true)).map(|(value, _)| value).collect())
            }
            Value::Null => Some(Vec::new()),
            _ => None,
        }
    };
    members.into_iter().map(|(key, values)| Some((key, read(values)?))).collect()
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_of_a_name_counts() {
        let query = Query::parse("all=1&all=0&name=a+b%2Fc&x&&=y");
        assert!(query.flag("all"));
        assert_eq!(query.text("name"), "a b/c");
        assert_eq!((query.given("x"), query.text("nosuch")), (None, ""));
        assert_eq!(query.all("all"), ["1", "0"]);
    }

    #[test]
    fn words_for_no() {
        for no in ["", "0", "no", "False", "NONE", "%20false%20"] {
            assert!(!Query::parse(&format!("x={no}")).flag("x"), "{no}");
        }
        assert!(Query::parse("x=yes").flag("x") && Query::parse("").flag_or("x", true));
    }

    #[test]
    fn both_spellings_of_filters() {
        let read = |text: &str| {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            Query::parse(&format!("filters={encoded}")).filters()
        };
        let list = read(r#"{"label":["a=b","c"]}"#).unwrap();
        assert_eq!(list, read(r#"{"label":{"a=b":true,"c":true,"d":false}}"#).unwrap());
        assert_eq!(list.0["label"], ["a=b", "c"]);
        assert!(read("{").is_err() && read("[]").is_err() && read(r#"{"a":1}"#).is_err());
    }

    #[test]
    fn numbers_and_moments() {
        let query = Query::parse("t=-1&bad=x&since=0&when=1408557662.5");
        assert_eq!(query.number("t").unwrap(), Some(-1));
        assert!(query.number("bad").is_err() && query.moment("bad").is_err());
        assert_eq!(query.moment("since").unwrap(), None);
        assert_eq!(query.moment("when").unwrap().unwrap().unix_seconds(), 1_408_557_662);
    }

    proptest! {
        #[test]
        fn anything_can_be_a_query(text in ".{0,64}") {
            let query = Query::parse(&text);
            for (name, _) in query.0.clone() {
                let _ = (query.flag(&name), query.number(&name), query.moment(&name));
            }
            let _ = query.filters();
        }
    }
}
