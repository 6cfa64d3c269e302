// Package e2e proves labctl as a whole: the built binary, a real engine, a real
// kind cluster, a real lab. Its tests run only with the build tag "e2e" (make
// e2e), because they take minutes and need an engine.
package e2e
