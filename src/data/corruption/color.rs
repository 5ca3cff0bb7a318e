//! Hue, saturation and value, as scikit-image converts.

/// Hue, saturation and value, each from 0 to 1, of red, green and blue.
pub(super) fn hsv([red, green, blue]: [f64; 3]) -> [f64; 3] {
    let value = red.max(green).max(blue);
    let range = value - red.min(green).min(blue);
    if range == 0.0 {
        return [0.0, 0.0, value];
    }
    let sixths = match () {
        () if blue == value => 4.0 + (red - green) / range,
        () if green == value => 2.0 + (blue - red) / range,
        () => (green - blue) / range,
    };
    [(sixths / 6.0).rem_euclid(1.0), range / value, value]
}

/// Red, green and blue of hue, saturation and value.
pub(super) fn rgb([hue, saturation, value]: [f64; 3]) -> [f64; 3] {
    let sector = (hue * 6.0).floor();
    let within = hue * 6.0 - sector;
    let low = value * (1.0 - saturation);
    let falling = value * (1.0 - within * saturation);
    let rising = value * (1.0 - (1.0 - within) * saturation);
    match sector as usize % 6 {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    }
}
