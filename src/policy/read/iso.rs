//! The codes of countries and continents that an entry of a geo map may name.

/// The officially assigned codes of ISO 3166-1 alpha-2, in order, and XK, which databases use for Kosovo.
const COUNTRIES: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD \
CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF \
GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN \
KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA \
NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI \
SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI \
VN VU WF WS XK YE YT ZA ZM ZW";

/// The continents, by code and name.
const CONTINENTS: [(&str, &str); 7] = [
    ("AF", "Africa"),
    ("AN", "Antarctica"),
    ("AS", "Asia"),
    ("EU", "Europe"),
    ("NA", "North America"),
    ("OC", "Oceania"),
    ("SA", "South America"),
];

/// What is often written in the place of a code.
const SLIPS: [(&str, &str); 4] = [("UK", "GB"), ("EN", "GB"), ("EL", "GR"), ("YU", "RS")];

/// The code of a country; `Err` is the code that was probably meant.
pub(super) fn country(text: &str) -> Result<[u8; 2], Option<&'static str>> {
    let find = |code: &str| COUNTRIES.split(' ').find(|known| *known == code);
    if let Some(code) = find(text) {
        return octets(code).ok_or(None);
    }
    let upper = text.to_ascii_uppercase();
    let slip = || SLIPS.iter().find(|(slip, _)| *slip == upper).map(|(_, meant)| *meant);
    Err(find(&upper).or_else(slip))
}

/// The code of a continent; `Err` is the code that was probably meant.
pub(super) fn continent(text: &str) -> Result<[u8; 2], Option<&'static str>> {
    if let Some((code, _)) = CONTINENTS.iter().find(|(code, _)| *code == text) {
        return octets(code).ok_or(None);
    }
    let squeeze = |name: &str| name.replace([' ', '-', '_'], "").to_ascii_uppercase();
    let written = squeeze(text);
    let meant = CONTINENTS.iter().find(|(code, name)| *code == written || squeeze(name) == written);
    Err(meant.map(|(code, _)| *code))
}

/// `AF (Africa), ...`
pub(super) fn continents() -> String {
    CONTINENTS.map(|(code, name)| format!("{code} ({name})")).join(", ")
}

fn octets(code: &str) -> Option<[u8; 2]> {
    code.as_bytes().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_as_many_as_the_standard_has_and_in_order() {
        let codes: Vec<&str> = COUNTRIES.split(' ').collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(codes.iter().all(|code| code.len() == 2 && code.bytes().all(|octet| octet.is_ascii_uppercase())));
        assert_eq!(codes.len(), 249 + 1);
    }

    #[test]
    fn a_code_is_two_capitals_and_a_slip_is_understood() {
        assert_eq!(country("DE"), Ok(*b"DE"));
        assert_eq!(country("de"), Err(Some("DE")));
        assert_eq!(country("uk"), Err(Some("GB")));
        assert_eq!(country("EU"), Err(None));
        assert_eq!(country("Germany"), Err(None));
        assert_eq!(continent("SA"), Ok(*b"SA"));
        assert_eq!(continent("north-america"), Err(Some("NA")));
        assert_eq!(continent("DE"), Err(None));
    }
}
