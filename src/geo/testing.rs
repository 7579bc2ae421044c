//! Databases for tests, written by another library.

use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde::Serialize;

use super::Database;

/// A record as the databases of MaxMind have it, with what is passed over.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    continent: Option<Continent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<Country>,
    #[serde(skip_serializing_if = "Option::is_none")]
    autonomous_system_number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    registered_country: Country,
}

#[derive(Clone, Debug, Serialize)]
struct Continent {
    code: &'static str,
    geoname_id: u32,
}

#[derive(Clone, Debug, Serialize)]
struct Country {
    iso_code: &'static str,
    is_in_european_union: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Location {
    accuracy_radius: u16,
    latitude: f64,
    longitude: f64,
    time_zone: &'static str,
}

pub(crate) fn record(
    continent: Option<&'static str>,
    country: Option<&'static str>,
    location: Option<(f64, f64)>,
) -> Record {
    Record {
        continent: continent.map(|code| Continent { code, geoname_id: 7 }),
        country: country.map(|iso_code| Country { iso_code, is_in_european_union: true }),
        autonomous_system_number: None,
        location: location.map(|(latitude, longitude)| Location {
            accuracy_radius: 5,
            latitude,
            longitude,
            time_zone: "Europe/Berlin",
        }),
        registered_country: Country { iso_code: "US", is_in_european_union: false },
    }
}

pub(crate) fn system(number: u32) -> Record {
    Record { autonomous_system_number: Some(number), ..record(None, None, None) }
}

/// The octets of a database with these networks.
pub(crate) fn written(version: IpVersion, networks: &[(&str, Record)]) -> Vec<u8> {
    let mut database = maxminddb_writer::Database::default();
    database.metadata.ip_version = version;
    database.metadata.binary_format_major_version = 2;
    database.metadata.database_type = "Test-City".into();
    for (network, record) in networks {
        let data = database.insert_value(record).unwrap();
        database.insert_node(network.parse::<IpAddrWithMask>().unwrap(), data);
    }
    database.write_to(Vec::new()).unwrap()
}

pub(crate) fn database(version: IpVersion, networks: &[(&str, Record)]) -> Database {
    Database::read(&written(version, networks)).unwrap()
}

/// Somewhere: 11/8 in Lisbon, 12/8 in Frankfurt, 13/8 in Germany without a location, 2001:db8::/32 in Lisbon.
pub(crate) fn located() -> Database {
    let lisbon = record(Some("EU"), Some("PT"), Some((38.72, -9.14)));
    database(
        IpVersion::V6,
        &[
            ("::11.0.0.0/104", lisbon.clone()),
            ("::12.0.0.0/104", record(Some("EU"), Some("DE"), Some((50.11, 8.68)))),
            ("::13.0.0.0/104", record(Some("EU"), Some("DE"), None)),
            ("2001:db8::/32", lisbon),
        ],
    )
}
