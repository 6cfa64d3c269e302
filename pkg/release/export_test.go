package release

// Parse is parse, for tests outside of the package.
var Parse = parse
