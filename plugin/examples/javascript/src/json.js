// JSON as the default policy writes it: compact, with the keys of foreign objects sorted.

/**
 * Reads JSON. Refuses halves of surrogate pairs, which `JSON.parse` allows: the host can't be given such a text.
 *
 * @param {string} text
 * @returns {unknown}
 */
export function parse(text) {
    return JSON.parse(text, (key, value) => {
        const half = [key, value].some((it) => typeof it === "string" && HALF.test(it));
        if (half) throw new SyntaxError("half a character");
        return value;
    });
}

const HALF = /[\ud800-\udfff]/u;

/**
 * Whether a value that `parse` made is an object, not a list or null.
 *
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isObject(value) {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The text of a value that came from outside.
 *
 * @param {unknown} value
 */
export function compact(value) {
    return JSON.stringify(sorted(value));
}

/**
 * The value with the keys of all its objects sorted.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
export function sorted(value) {
    if (Array.isArray(value)) return value.map(sorted);
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}
