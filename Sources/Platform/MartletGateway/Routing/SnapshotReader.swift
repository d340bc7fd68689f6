// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import Synchronization

/// Counts what is put in force, from 1: the one number that readers compare.
public final class SnapshotGeneration: Sendable {
    @usableFromInline let number = Atomic<UInt64>(1)

    init() {}

    @inlinable public var value: UInt64 { number.load(ordering: .acquiring) }

    func advance() { number.wrappingAdd(1, ordering: .releasing) }
}

/// One reader's reference to what is in force, on one thread or event loop.
///
/// A read is one atomic load and a comparison, and lends the snapshot where it lies: neither a lock
/// nor a retain, until there is another. Old snapshots live as long as a reader or a request holds
/// them.
@safe
public struct SnapshotReader<Snapshot: AnyObject>: ~Copyable {
    @usableFromInline let generation: SnapshotGeneration
    @usableFromInline var seen: UInt64
    /// Retained by the reader.
    @usableFromInline var cached: Unmanaged<Snapshot>
    private let load: () -> (Snapshot, UInt64)

    /// - Parameter load: what is in force, and its generation.
    package init(
        _ generation: SnapshotGeneration, load: @escaping () -> (Snapshot, UInt64)
    ) {
        self.generation = generation
        self.load = load
        let (snapshot, seen) = load()
        unsafe cached = Unmanaged.passRetained(snapshot)
        self.seen = seen
    }

    deinit { unsafe cached.release() }

    /// Whether what it has is still in force.
    @inlinable public var isCurrent: Bool { generation.value == seen }

    /// Turns to what is in force.
    public mutating func update() {
        let old = unsafe cached
        let (snapshot, seen) = load()
        unsafe cached = Unmanaged.passRetained(snapshot)
        self.seen = seen
        unsafe old.release()
    }

    /// Calls with what it has. The body may keep the snapshot; it must not update this reader
    /// before it does.
    @inlinable @inline(__always)
    public func borrow<Outcome>(_ body: (Snapshot) -> Outcome) -> Outcome {
        unsafe cached._withUnsafeGuaranteedRef { body($0) }
    }

    /// Calls with what is in force, as `borrow` does.
    @inlinable @inline(__always)
    public mutating func read<Outcome>(_ body: (Snapshot) -> Outcome) -> Outcome {
        if !isCurrent { update() }
        return borrow(body)
    }
}
