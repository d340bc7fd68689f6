// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletServing

/// TraceSetting and LogSettings.
struct SettingsMethods {
    private let host: any ModelHost
    private let settings: ProtocolSettings

    init(_ host: any ModelHost, _ settings: ProtocolSettings) {
        self.host = host
        self.settings = settings
    }

    var all: [GRPCMethod] { [trace, log] }

    private static let settingCountMax = 64

    private static func checkCount(_ count: Int) throws(ServingError) {
        guard count < settingCountMax else {
            throw ServingError(.invalidArgument, "more than \(settingCountMax) settings")
        }
    }

    private var trace: GRPCMethod {
        let settings = settings
        let host = host
        return .immediate("TraceSetting") { request, response in
            var model = ""
            var changes: [String: [String]?] = [:]
            while let field = try request.next() {
                switch field {
                case 1:
                    var values: [String] = []
                    let name = try request.mapEntry { values = try SettingsMethods.strings(&$0) }
                    try SettingsMethods.checkCount(changes.count)
                    changes.updateValue(values.isEmpty ? nil : values, forKey: name)
                case 2: model = try request.string()
                default: break
                }
            }
            if !model.isEmpty { _ = try host.metadata(model: model, version: nil) }
            let current = try settings.updateTrace(model: model.isEmpty ? nil : model, changes)
            for (name, values) in current.sorted(by: { $0.key < $1.key }) {
                response.mapEntry(1, key: name) { entry in
                    let mark = entry.beginMessage(2)
                    for value in values { entry.string(1, value) }
                    entry.endMessage(mark)
                }
            }
        }
    }

    private static func strings(_ entry: inout ProtobufReader) throws -> [String] {
        var values: [String] = []
        var reader = try entry.message()
        while let field = try reader.next() {
            guard field == 1 else { continue }
            try checkCount(values.count)
            values.append(try reader.string())
        }
        return values
    }

    private var log: GRPCMethod {
        let settings = settings
        return .immediate("LogSettings") { request, response in
            var changes: Parameters = [:]
            while let field = try request.next() {
                guard field == 1 else { continue }
                var value: ParameterValue?
                let name = try request.mapEntry { value = try SettingsMethods.logValue(&$0) }
                try SettingsMethods.checkCount(changes.count)
                if let value { changes[name] = value }
            }
            let log = changes.isEmpty ? settings.log : try settings.updateLog(changes)
            SettingsMethods.write("log_file", to: &response) { $0.string(3, log.file) }
            SettingsMethods.write("log_info", to: &response) { $0.bool(1, log.info) }
            SettingsMethods.write("log_warning", to: &response) { $0.bool(1, log.warning) }
            SettingsMethods.write("log_error", to: &response) { $0.bool(1, log.error) }
            SettingsMethods.write("log_verbose_level", to: &response) {
                $0.uint64(2, UInt64(log.verboseLevel))
            }
            SettingsMethods.write("log_format", to: &response) {
                $0.string(3, log.format.rawValue)
            }
        }
    }

    private static func logValue(_ entry: inout ProtobufReader) throws -> ParameterValue? {
        var value: ParameterValue?
        var reader = try entry.message()
        while let field = try reader.next() {
            switch field {
            case 1: value = .bool(try reader.bool())
            case 2: value = .uint(UInt64(try reader.uint32()))
            case 3: value = .string(try reader.string())
            default: break
            }
        }
        return value
    }

    private static func write(
        _ name: String, to response: inout ProtobufWriter,
        _ value: (inout ProtobufWriter) -> Void
    ) {
        response.mapEntry(1, key: name) { entry in
            let mark = entry.beginMessage(2)
            value(&entry)
            entry.endMessage(mark)
        }
    }
}
