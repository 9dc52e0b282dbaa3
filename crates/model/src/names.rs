//! Generated names for containers that were given none: `steady_nansen`.

// One word a line would hide the code below three hundred lines of words.
#[rustfmt::skip]
/// What a container may be.
const ADJECTIVES: &[&str] = &[
    "able", "agile", "airy", "amber", "ample", "azure", "balmy", "bold", "bonny", "brave", "breezy", "bright",
    "brisk", "buoyant", "calm", "candid", "careful", "cheerful", "civil", "clear", "clever", "copper", "coral",
    "crisp", "curious", "dapper", "daring", "deft", "eager", "early", "earnest", "easy", "elegant", "fair",
    "faithful", "fearless", "fleet", "fond", "frank", "free", "fresh", "gallant", "genial", "gentle", "gifted",
    "glad", "gleaming", "golden", "graceful", "grand", "hardy", "hearty", "helpful", "honest", "humble", "jaunty",
    "jolly", "jovial", "keen", "kindly", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mighty", "mild",
    "modest", "neat", "nimble", "noble", "patient", "placid", "plucky", "polite", "prompt", "proud", "quick", "quiet",
    "rapid", "ready", "roving", "serene", "silver", "sincere", "smart", "snug", "sober", "sound", "spry", "stable",
    "steady", "stout", "sturdy", "sunny", "swift", "tender", "thrifty", "tidy", "tranquil", "trim", "trusty",
    "upright", "valiant", "vivid", "warm", "wise", "witty", "zesty",
];

#[rustfmt::skip]
/// Navigators, explorers and those who measured the sea, the sky and the earth.
const SURNAMES: &[&str] = &[
    "amundsen", "andree", "anning", "armstrong", "barents", "baret", "beaufort", "bellingshausen", "bering",
    "bernoulli", "bligh", "bougainville", "bowditch", "brunel", "cabot", "cabral", "cartier", "celsius", "champlain",
    "chichester", "colenso", "cook", "cousteau", "dampier", "dana", "darwin", "davis", "descartes", "diaz", "drake",
    "dumont", "earhart", "earle", "ekman", "elcano", "erikson", "euler", "eyre", "fahrenheit", "faraday", "fitzroy",
    "flinders", "forster", "franklin", "frobisher", "fulton", "galton", "gama", "gauss", "gerlache", "gilbert",
    "gray", "greely", "grotius", "halley", "hanno", "harrison", "hawkins", "henson", "herschel", "heyerdahl",
    "himilco", "hooke", "howland", "hudson", "humboldt", "huygens", "jansson", "joyon", "kane", "kelvin", "kepler",
    "kotzebue", "laperouse", "laplace", "larsen", "lovell", "mackenzie", "maclure", "magellan", "marconi", "markham",
    "matthes", "maury", "mawson", "mercator", "moitessier", "morse", "munk", "nansen", "nares", "nobile",
    "nordenskjold", "noyce", "orellana", "ortelius", "parry", "peary", "piccard", "plimsoll", "polo", "ptolemy",
    "pytheas", "quiros", "raleigh", "rennell", "riou", "ross", "sabine", "scoresby", "scott", "shackleton", "slocum",
    "smeaton", "somerville", "speke", "stevenson", "sturt", "sverdrup", "symington", "tabarly", "tasman",
    "tereshkova", "thales", "tilman", "torres", "tudela", "turner", "urdaneta", "vancouver", "vespucci", "villiers",
    "wallis", "watt", "weddell", "wegener", "weyprecht", "whewell", "wilkes", "wrangel", "wright", "yonge", "zarco",
    "zheng",
];

/// The name that belongs to this number; different numbers may share a name.
///
/// From the second try on (`retry > 0`) a digit is added, so that a free name is found even when most are taken.
pub fn generated(number: u64, retry: u32) -> String {
    let combinations = ADJECTIVES.len() * SURNAMES.len();
    let index = (number % combinations as u64) as usize;
    let adjective = ADJECTIVES[index % ADJECTIVES.len()];
    let surname = SURNAMES[index / ADJECTIVES.len()];
    match retry {
        0 => format!("{adjective}_{surname}"),
        _ => format!("{adjective}_{surname}{}", number / combinations as u64 % 10),
    }
}

/// A random name.
///
/// # Errors
/// The kernel's error if it has no random numbers to give.
pub fn random(retry: u32) -> std::io::Result<String> {
    let bytes = crate::id::random_bytes()?;
    let (head, _) = bytes.split_at(8);
    let number = head.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Ok(generated(number, retry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn enough_distinct_words() {
        assert!(ADJECTIVES.iter().collect::<HashSet<_>>().len() >= 80);
        assert!(SURNAMES.iter().collect::<HashSet<_>>().len() >= 120);
        let words = ADJECTIVES.iter().chain(SURNAMES);
        assert!(words.into_iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }

    #[test]
    fn every_combination_once() {
        let combinations = (ADJECTIVES.len() * SURNAMES.len()) as u64;
        let names: HashSet<_> = (0..combinations).map(|number| generated(number, 0)).collect();
        assert_eq!(names.len() as u64, combinations);
    }

    #[test]
    fn valid_and_different_when_retried() {
        assert!(crate::container_name::is_valid(&random(0).unwrap()));
        assert!(generated(u64::MAX, 1).ends_with(|c: char| c.is_ascii_digit()));
    }
}
