// Package crashlab is test support: a disk that loses what was not synced.
//
// A [Disk] is one folder in memory. It stands under SQLite as a VFS (name VFS in
// state.Options), and serves the steps outside SQLite (make, link, rename, sync a
// folder) by methods. It remembers every operation in the order in which it was
// asked; [Disk.Images] then makes what a real disk may hold after a crash before
// or after any of them: of the writes that no sync made durable any may be lost,
// and any torn at the borders of sectors. A workload runs once, and thousands of
// crashes are made of it.
//
// # The model
//
// Data of a file is durable once the file is synced, a name once its folder is:
// POSIX promises no more. Until then each operation survives or not by itself, in
// any combination. A sector is written as a whole, and a write leaves the bytes
// around it alone (SQLite's "powersafe overwrite", which package vfs assumes of
// every disk too). Out of the model are disks that tear within 512 bytes, change
// what was synced, or lie: the last is planted as a fault, and has to be noticed.
//
// Locks, and the memory that processes share for the WAL's index, belong to one
// Disk: an image is another Disk, on which nobody holds anything. Package vfs has
// no way to give SQLite shared memory of one's own (its interface is sealed), so
// that memory is mapped from a file outside the simulated disk; SQLite builds it
// anew after a crash.
//
// Images are made at operations of the disk. As between two of them nothing is
// written, a crash at any other time leaves one of the same images.
package crashlab
