//! Query parameters, as strict as Google is with them.

use percent_encoding::percent_decode_str;

use crate::api::answer::GoogleError;

/// Parameters that every Google API knows. `access_token` and `oauth_token` are known but are no credentials here: a token in
/// a URL ends in logs.
const SYSTEM: [&str; 12] = [
    "$.xgafv",
    "accessToken",
    "alt",
    "callback",
    "fields",
    "key",
    "oauthToken",
    "prettyPrint",
    "quotaUser",
    "uploadType",
    "uploadProtocol",
    "$alt",
];

/// Decoded parameters, in order, named in lower camel case.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes `name=value&name=value`, which is also the form body of an overridden GET.
    pub(crate) fn decode(text: &str) -> Result<Self, GoogleError> {
        let part = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8().map(|text| text.into_owned()).map_err(|_| {
                GoogleError::field("query", format!("Invalid percent-encoding or UTF-8 in query parameter '{text}'."))
            })
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((camel_case(&part(name)?), part(value)?))
        });
        Ok(Self(pairs.collect::<Result<_, GoogleError>>()?))
    }

    /// Refuses what the call does not know, and what is there twice without being one of `repeated`.
    pub(crate) fn check(&self, known: &[&str], repeated: &[&str]) -> Result<(), GoogleError> {
        let mut error = GoogleError::invalid();
        for (index, (name, _)) in self.0.iter().enumerate() {
            let name = name.as_str();
            let problem = if repeated.contains(&name) {
                continue;
            } else if !known.contains(&name) && !SYSTEM.contains(&name) {
                format!("Cannot bind query parameter. Field '{name}' could not be found in request message.")
            } else if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                "Proto field is not repeating, cannot start list.".to_owned()
            } else {
                continue;
            };
            let problem = format!("Invalid JSON payload received. Unknown name \"{name}\": {problem}");
            // Of the errors about the payload, Google's message is not the generic one.
            error = if error.has_details() {
                error.with_violation("", problem)
            } else {
                GoogleError::new(axum::http::StatusCode::BAD_REQUEST, &problem).with_violation("", problem)
            };
        }
        if let Some(alt) = self.one("alt").or(self.one("$alt"))
            && alt != "json"
        {
            error = error.with_violation("alt", format!("Unsupported output format '{alt}'; only json is."));
        }
        if error.has_details() { Err(error) } else { Ok(()) }
    }

    /// The value of a parameter; absent and empty are the same, as in proto3.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// The values of a repeated parameter.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The value of a required parameter.
    pub(crate) fn required(&self, name: &str) -> Result<&str, GoogleError> {
        self.one(name).ok_or_else(|| GoogleError::field(&snake_case(name), "Field is required"))
    }

    /// A boolean, false when absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, GoogleError> {
        match self.one(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(invalid_value(name, "TYPE_BOOL", other)),
        }
    }

    /// An integer, 0 when absent.
    pub(crate) fn integer(&self, name: &str) -> Result<i32, GoogleError> {
        let Some(value) = self.one(name) else { return Ok(0) };
        value.parse().map_err(|_| invalid_value(name, "TYPE_INT32", value))
    }

    /// Whether the answer is to be indented: yes, unless the caller says no.
    pub(crate) fn pretty(&self) -> bool {
        !matches!(self.one("prettyPrint"), Some("false" | "0"))
    }

    /// The parameters that select what a list holds, in a canonical order: what a page token is bound to.
    pub(crate) fn selection(&self) -> Vec<(&str, &str)> {
        let paging = ["pageSize", "pageToken"];
        let mut selection: Vec<_> = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        selection.retain(|(name, _)| !SYSTEM.contains(name) && !paging.contains(name));
        selection.sort_unstable();
        selection
    }
}

fn invalid_value(name: &str, kind: &str, value: &str) -> GoogleError {
    let name = snake_case(name);
    let problem = format!("Invalid value at '{name}' ({kind}), \"{value}\"");
    GoogleError::new(axum::http::StatusCode::BAD_REQUEST, &problem).with_violation(&name, problem)
}

/// Google takes a field by its JSON name or by its proto name.
pub(crate) fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// The proto name, which Google's field violations use.
pub(crate) fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, letter| {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        snake
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_names_taken_in_both_spellings() {
        let query =
            Query::decode("read_mask=name%2Ccategories&names=a&names=categories%2Fgcid%3Acafe&x=a+b").expect("valid");
        assert_eq!(query.one("readMask"), Some("name,categories"));
        assert_eq!(query.all("names").collect::<Vec<_>>(), ["a", "categories/gcid:cafe"]);
        assert_eq!(query.one("x"), Some("a b"));
        assert!(Query::decode("a=%ff").is_err());
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        let check = |text| Query::decode(text).expect("decodes").check(&["readMask"], &["names"]);
        assert!(check("readMask=name&names=a&names=b&alt=json&key=k&upload_protocol=raw&$.xgafv=2").is_ok());
        for text in ["readMaks=name", "readMask=a&read_mask=b", "alt=proto", "alt=json&alt=json"] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_have_types() {
        let query = Query::decode("flag=TRUE&size=ten&page=99999999999&ok=true&five=5").expect("decodes");
        assert!(query.flag("flag").is_err());
        assert!(query.integer("size").is_err());
        assert!(query.integer("page").is_err());
        assert!(query.flag("ok").expect("a boolean"));
        assert_eq!(query.integer("five").expect("an integer"), 5);
        assert_eq!(query.integer("absent").expect("the default"), 0);
    }
}
