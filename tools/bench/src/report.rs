//! Medians, the table for people, and the rows for tools.

/// What one peer showed in one work.
pub(crate) struct Figure {
    pub(crate) metric: String,
    pub(crate) peer: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) rate: bool,
    /// One for each round; or why there are none.
    pub(crate) values: Result<Vec<f64>, String>,
}

/// (median, least, most)
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median =
        if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    (median, sorted[0], sorted[sorted.len() - 1])
}

/// `metric peer median min max unit rounds`, tab-separated; a missing peer has `missing` for figures.
pub(crate) fn print_row(figure: &Figure) {
    let Figure { metric, peer, unit, values, .. } = figure;
    match values {
        Ok(values) => {
            let (median, least, most) = spread(values);
            println!("{metric}\t{peer}\t{median:.3}\t{least:.3}\t{most:.3}\t{unit}\t{}", values.len());
        }
        Err(_) => println!("{metric}\t{peer}\tmissing\tmissing\tmissing\t{unit}\t0"),
    }
}

/// The same for people, with ours as so many times each peer's.
pub(crate) fn print_table(figures: &[Figure]) {
    println!(
        "{:<22} {:<12} {:>14} {:>14} {:>14} {:<12} {:>6}  ours/peer",
        "metric", "peer", "median", "min", "max", "unit", "rounds"
    );
    for figure in figures {
        let Figure { metric, peer, unit, rate, values } = figure;
        let values = match values {
            Ok(values) => values,
            Err(why) => {
                println!("{metric:<22} {peer:<12} missing: {why}");
                continue;
            }
        };
        let (median, least, most) = spread(values);
        let ours = figures.iter().find(|other| other.metric == *metric && other.peer == "mp");
        let ours = ours.and_then(|ours| ours.values.as_ref().ok()).map(|values| spread(values).0);
        // A peer that took nothing is no measure.
        let ratio = match ours.filter(|_| *peer != "mp" && median > 0.0) {
            Some(ours) if *rate => format!("{:.2}x as many", ours / median),
            Some(ours) => format!("{:.2}x as long", ours / median),
            None => String::new(),
        };
        let rounds = values.len();
        // Times below a microsecond are figures too.
        let digits = if median < 100.0 { 3 } else { 1 };
        println!(
            "{metric:<22} {peer:<12} {median:>14.digits$} {least:>14.digits$} {most:>14.digits$} \
             {unit:<12} {rounds:>6}  {ratio}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (2.0, 1.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), (2.5, 1.0, 4.0));
    }
}
