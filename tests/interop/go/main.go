// Command sumdb checks what a Valise log wrote with the packages that Go's own checksum database is checked with.
//
// It reads one JSON file (see test_go_sumdb.py), computes every root from the entries by itself, and stops at the first
// note, root or proof that golang.org/x/mod/sumdb does not accept. It prints how many of each it has accepted.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Index int64
	Path  []string
}

type consistency struct {
	Old   int64
	Proof []string
}

type tree struct {
	Size        int64
	Note        string
	Inclusion   []inclusion
	Consistency []consistency
}

type file struct {
	Origin  string
	Vkey    string
	Entries [][]byte
	Trees   []tree
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var in file
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	verifier, err := note.NewVerifier(in.Vkey)
	if err != nil {
		return err
	}
	store, err := build(in.Entries)
	if err != nil {
		return err
	}
	var inclusions, consistencies int
	for _, t := range in.Trees {
		root, err := check(in.Origin, note.VerifierList(verifier), t, store)
		if err != nil {
			return fmt.Errorf("size %d: %w", t.Size, err)
		}
		for _, p := range t.Inclusion {
			path, err := hashes(p.Path)
			if err != nil {
				return err
			}
			leaf := tlog.RecordHash(in.Entries[p.Index])
			if err := tlog.CheckRecord(path, t.Size, root, p.Index, leaf); err != nil {
				return fmt.Errorf("size %d, index %d: %w", t.Size, p.Index, err)
			}
			inclusions++
		}
		for _, p := range t.Consistency {
			proof, err := hashes(p.Proof)
			if err != nil {
				return err
			}
			old, err := tlog.TreeHash(p.Old, store)
			if err != nil {
				return err
			}
			if err := tlog.CheckTree(proof, t.Size, root, p.Old, old); err != nil {
				return fmt.Errorf("size %d, older size %d: %w", t.Size, p.Old, err)
			}
			consistencies++
		}
	}
	fmt.Printf("%d notes, %d inclusion proofs, %d consistency proofs\n", len(in.Trees), inclusions, consistencies)
	return nil
}

// build stores the hashes of a tree in memory, as tlog numbers them.
func build(entries [][]byte) (tlog.HashReader, error) {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			out[i] = stored[index]
		}
		return out, nil
	})
	for n, entry := range entries {
		more, err := tlog.StoredHashes(int64(n), entry, read)
		if err != nil {
			return nil, err
		}
		stored = append(stored, more...)
	}
	return read, nil
}

// check opens a checkpoint's note and compares its lines with the tree that Go has built; it returns the root.
func check(origin string, known note.Verifiers, t tree, store tlog.HashReader) (tlog.Hash, error) {
	opened, err := note.Open([]byte(t.Note), known)
	if err != nil {
		return tlog.Hash{}, err
	}
	if len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) != 1 {
		return tlog.Hash{}, fmt.Errorf("%d known and %d unknown signatures", len(opened.Sigs), len(opened.UnverifiedSigs))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[1] != strconv.FormatInt(t.Size, 10) {
		return tlog.Hash{}, fmt.Errorf("the text is not that of a checkpoint")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Hash{}, err
	}
	computed, err := tlog.TreeHash(t.Size, store)
	if err != nil {
		return tlog.Hash{}, err
	}
	if root != computed {
		return tlog.Hash{}, fmt.Errorf("the root is not that of the entries")
	}
	return root, nil
}

func hashes(texts []string) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(texts))
	for i, text := range texts {
		hash, err := tlog.ParseHash(text)
		if err != nil {
			return nil, err
		}
		out[i] = hash
	}
	return out, nil
}
