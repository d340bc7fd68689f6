// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletServing
internal import MartletTensor
internal import MartletWire

/// The system and CUDA shared-memory methods. There is no CUDA: its status is empty, and a region
/// cannot be registered.
struct SharedMemoryMethods {
    private let registry: SharedMemoryRegistry

    init(_ registry: SharedMemoryRegistry) {
        self.registry = registry
    }

    var all: [GRPCMethod] {
        [
            status, register, unregister,
            .immediate("CudaSharedMemoryStatus") { _, _ in },
            .immediate("CudaSharedMemoryUnregister") { _, _ in },
            .immediate("CudaSharedMemoryRegister") { _, _ in
                throw ServingError(
                    .unsupported, "CUDA shared memory is not supported by this server")
            },
        ]
    }

    private var status: GRPCMethod {
        let registry = registry
        return .immediate("SystemSharedMemoryStatus") { request, response in
            let name = try SharedMemoryMethods.name(&request)
            let regions = try SharedMemoryMethods.translated {
                () throws(SharedMemoryError) in
                try registry.status(name: name.isEmpty ? nil : name)
            }
            for region in regions {
                response.mapEntry(1, key: region.name) { entry in
                    let mark = entry.beginMessage(2)
                    entry.text(1, region.name)
                    entry.text(2, region.key)
                    entry.integer(3, region.offset)
                    entry.integer(4, region.byteSize)
                    entry.endMessage(mark)
                }
            }
        }
    }

    private var register: GRPCMethod {
        let registry = registry
        return .immediate("SystemSharedMemoryRegister") { request, _ in
            var name = ""
            var key = ""
            var offset: UInt64 = 0
            var byteSize: UInt64 = 0
            while let field = try request.next() {
                switch field {
                case 1: name = try request.string()
                case 2: key = try request.string()
                case 3: offset = try request.uint64()
                case 4: byteSize = try request.uint64()
                default: break
                }
            }
            try SharedMemoryMethods.translated { () throws(SharedMemoryError) in
                try registry.register(
                    name: name, key: key, offset: Int(clamping: offset),
                    byteSize: Int(clamping: byteSize))
            }
        }
    }

    private var unregister: GRPCMethod {
        let registry = registry
        return .immediate("SystemSharedMemoryUnregister") { request, _ in
            let name = try SharedMemoryMethods.name(&request)
            try SharedMemoryMethods.translated { () throws(SharedMemoryError) in
                if name.isEmpty {
                    try registry.unregisterAll()
                } else {
                    try registry.unregister(name: name)
                }
            }
        }
    }

    private static func name(_ request: inout ProtobufReader) throws -> String {
        var name = ""
        while let field = try request.next() {
            if field == 1 { name = try request.string() }
        }
        return name
    }

    private static func translated<Value>(
        _ body: () throws(SharedMemoryError) -> Value
    ) throws(ServingError) -> Value {
        do throws(SharedMemoryError) {
            return try body()
        } catch {
            throw ServingError(error)
        }
    }
}
