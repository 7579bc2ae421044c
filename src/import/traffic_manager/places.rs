//! Where Azure's regions are.

/// Azure regions by the name that has neither capitals nor spaces, with latitude and longitude of their places as `az account
/// list-locations` gives them.
const REGIONS: &[(&str, (f64, f64))] = &[
    ("australiacentral", (-35.3075, 149.1244)),
    ("australiacentral2", (-35.3075, 149.1244)),
    ("australiaeast", (-33.86, 151.2094)),
    ("australiasoutheast", (-37.8136, 144.9631)),
    ("brazilsouth", (-23.55, -46.633)),
    ("brazilsoutheast", (-22.90278, -43.2075)),
    ("canadacentral", (43.653, -79.383)),
    ("canadaeast", (46.817, -71.217)),
    ("centralindia", (18.5822, 73.9197)),
    ("centralus", (41.5908, -93.6208)),
    ("eastasia", (22.267, 114.188)),
    ("eastus", (37.3719, -79.8164)),
    ("eastus2", (36.6681, -78.3889)),
    ("francecentral", (46.3772, 2.373)),
    ("francesouth", (43.8345, 2.1972)),
    ("germanynorth", (53.073635, 8.806422)),
    ("germanywestcentral", (50.110924, 8.682127)),
    ("israelcentral", (31.2655698, 33.4506633)),
    ("italynorth", (45.46888, 9.18109)),
    ("japaneast", (35.68, 139.77)),
    ("japanwest", (34.6939, 135.5022)),
    ("koreacentral", (37.5665, 126.978)),
    ("koreasouth", (35.1796, 129.0756)),
    ("mexicocentral", (20.588818, -100.389888)),
    ("northcentralus", (41.8819, -87.6278)),
    ("northeurope", (53.3478, -6.2597)),
    ("norwayeast", (59.913868, 10.752245)),
    ("norwaywest", (58.969975, 5.733107)),
    ("polandcentral", (52.23334, 21.01666)),
    ("qatarcentral", (25.551462, 51.439327)),
    ("southafricanorth", (-25.73134, 28.21837)),
    ("southafricawest", (-34.075691, 18.843266)),
    ("southcentralus", (29.4167, -98.5)),
    ("southeastasia", (1.283, 103.833)),
    ("southindia", (12.9822, 80.1636)),
    ("spaincentral", (40.4259, 3.4209)),
    ("swedencentral", (60.67488, 17.14127)),
    ("switzerlandnorth", (47.451542, 8.564572)),
    ("switzerlandwest", (46.204391, 6.143158)),
    ("uaecentral", (24.466667, 54.366669)),
    ("uaenorth", (25.266666, 55.316666)),
    ("uksouth", (50.941, -0.799)),
    ("ukwest", (53.427, -3.084)),
    ("westcentralus", (40.89, -110.234)),
    ("westeurope", (52.3667, 4.9)),
    ("westindia", (19.088, 72.868)),
    ("westus", (37.783, -122.417)),
    ("westus2", (47.233, -119.852)),
    ("westus3", (33.448376, -112.074036)),
];

/// The name of a region, and where it is, if it is known.
pub(super) fn region(location: &str) -> (String, Option<(f64, f64)>) {
    let plain = location.chars().filter(|c| c.is_ascii_alphanumeric());
    let name: String = plain.collect::<String>().to_ascii_lowercase();
    let place = REGIONS.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
    (name, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_known_by_either_name() {
        let europe = ("westeurope".to_owned(), Some((52.3667, 4.9)));
        assert_eq!(region("West Europe"), europe);
        assert_eq!(region("westeurope"), europe);
        assert_eq!(region("Atlantis"), ("atlantis".to_owned(), None));
        assert!(REGIONS.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, each once");
    }
}
