//! A least-squares fit of linear and quadratic growth, such as that of prefill time with the length of the
//! context.

/// Returns the `a` and `b` of `y = a x + b x^2` that minimise the sum of squared relative errors
/// `(y - fitted) / y`, so that large values do not dominate. Returns `None` unless there are two different
/// `x` and every number is positive and finite.
pub fn linear_and_quadratic(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    if points.iter().any(|&(x, y)| !(x > 0.0 && y > 0.0 && x.is_finite() && y.is_finite())) {
        return None;
    }
    // `x` is scaled to order one. Otherwise the determinant would lose the digits in which large `x` differ.
    let unit = points.iter().map(|&(x, _)| x).fold(0.0, f64::max);
    let mut sums = [0.0; 5];
    for &(x, y) in points {
        let (u, v) = (x / unit / y, (x / unit).powi(2) / y);
        for (sum, term) in sums.iter_mut().zip([u * u, u * v, v * v, u, v]) {
            *sum += term;
        }
    }
    let [uu, uv, vv, u, v] = sums;
    let determinant = uu * vv - uv * uv;
    // If all `x` are equal, the two columns are multiples of each other.
    if determinant <= 1e-12 * uu * vv {
        return None;
    }
    let (a, b) = ((u * vv - v * uv) / determinant, (v * uu - u * uv) / determinant);
    Some((a / unit, b / (unit * unit)))
}

#[cfg(test)]
mod tests {
    use super::linear_and_quadratic;

    #[test]
    fn the_coefficients_of_exact_data_are_recovered() {
        let points = [512.0, 1024.0, 2048.0, 8192.0].map(|x| (x, 3e-3 * x + 2e-7 * x * x));
        let (a, b) = linear_and_quadratic(&points).unwrap();
        assert!((a / 3e-3 - 1.0).abs() < 1e-9 && (b / 2e-7 - 1.0).abs() < 1e-9, "{a} {b}");
    }

    #[test]
    fn relative_errors_are_minimised() {
        let (low, high) = ([(1.0, 1.1), (2.0, 2.0), (4.0, 4.0)], [(1.0, 1.0), (2.0, 2.0), (4.0, 4.4)]);
        let error = |points: &[(f64, f64)]| {
            let (a, b) = linear_and_quadratic(points).unwrap();
            points.iter().map(|&(x, y)| ((a * x + b * x * x) / y - 1.0).powi(2)).sum::<f64>()
        };
        for points in [low, high] {
            let (a, b) = linear_and_quadratic(&points).unwrap();
            let error_beside = |da: f64, db: f64| {
                let fit = |x: f64| (a + da) * x + (b + db) * x * x;
                points.iter().map(|&(x, y)| (fit(x) / y - 1.0).powi(2)).sum::<f64>()
            };
            for (da, db) in [(1e-3, 0.0), (-1e-3, 0.0), (0.0, 1e-3), (0.0, -1e-3)] {
                assert!(error_beside(da, db) > error(&points), "{da} {db}");
            }
        }
    }

    #[test]
    fn too_few_points_have_no_fit() {
        assert_eq!(linear_and_quadratic(&[]), None);
        assert_eq!(linear_and_quadratic(&[(5.0, 1.0), (5.0, 1.1)]), None);
        assert_eq!(linear_and_quadratic(&[(1.0, 1.0), (2.0, 0.0)]), None);
        assert_eq!(linear_and_quadratic(&[(1.0, f64::NAN), (2.0, 2.0)]), None);
    }
}
