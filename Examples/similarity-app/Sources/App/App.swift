// A Hummingbird app of your own with a model inside: no second process, no network hop.
import Hummingbird
import MartletServing

struct Question: Decodable { let texts: [String] }
struct Answer: ResponseEncodable { let similarity: Float }

@main
struct App {
    static func main() async throws {
        let arguments = CommandLine.arguments
        let host = try await LocalModelHost.open([arguments[1]])
        let model = host.models()[0].name

        let router = Router()
        router.get("health") { _, _ in HTTPResponse.Status.ok }
        router.post("similarity") { request, context -> Answer in
            let question = try await request.decode(as: Question.self, context: context)
            let answer = try await host.embed(
                EmbeddingRequest(model: model, inputs: question.texts.map { .text($0) }))
            let size = answer.dimensions
            guard question.texts.count == 2 else { throw HTTPError(.badRequest) }
            let similarity = (0..<size).reduce(Float(0)) {
                $0 + answer.vectors[$1] * answer.vectors[size + $1]
            }
            return Answer(similarity: similarity)
        }

        let port = arguments.count > 2 ? Int(arguments[2]) ?? 8080 : 8080
        let app = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: port)),
            services: [host])
        try await app.runService()
    }
}
